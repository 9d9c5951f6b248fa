#!/usr/bin/env node
// Follow what happens at the charge points, and lose nothing.  It is listen.py
// in another language: the same output, options and promises.
//
// It prints the state of all connectors as it stands, one JSON object a line,
// and then every event from there on, as it is committed; those have an
// event_id.  Whatever happens to the server and to the connection, each event
// is printed once, those of one charge point in the order of their ids.
//
// With --cursor-file the place outlives the program: started again it goes on
// where it was, without the state.  The place is written after the events were
// handled, so a program that is killed in between handles those again: at least
// once.  SIGTERM and SIGINT end it in good order.
//
// It needs a role with the rights of a reader (evcharge.grant_access) and the
// module pg ("npm install" in this directory, or Debian's node-pg).
'use strict';

const fs = require('fs');
const { parseArgs } = require('util');
const { Client } = require('pg');

const CHANNELS = ['evcharge_charge_point', 'evcharge_connector',
  'evcharge_transaction', 'evcharge_auth'];

const STATE = `
  SELECT row_to_json(s) AS row
  FROM (SELECT charge_point_id, p.last_event_id, c.connector_id, c.status,
            c.transaction_id
        FROM evcharge.charge_point_overview p
            LEFT JOIN evcharge.connector_overview c USING (charge_point_id)
        ORDER BY charge_point_id, connector_id) s`;

const EVENTS = `
  SELECT row_to_json(e) AS event, evcharge.state_change(e) AS change
  FROM evcharge.events_since($1, $2) e`;

const PAGE = 1000;              // events of one call
const STANDBY_INTERVAL = 1;     // seconds; a standby has no notifications
const LONGEST_DELAY = 30;       // seconds between attempts to connect

// Something to wait for, which may happen before anybody waits.
class Bell {
  #rung = false;
  #wake = () => {};

  ring() {
    this.#rung = true;
    this.#wake();
  }

  async wait(seconds) {
    if (!this.#rung) {
      let timer;
      await new Promise((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, seconds * 1000);
      });
      clearTimeout(timer);
    }
    this.#rung = false;
  }
}

// What the database or the way to it had to say.
class DatabaseError extends Error {
  constructor(cause) {
    super(cause.message || cause.code, { cause });
    this.code = cause.code || '';
  }
}

// A place in the events, and how to go on from it.
class Listener {
  constructor(options) {
    this.options = options;
    this.cursor = null;
    this.delay = 0;
    this.stopped = false;
    this.bell = new Bell();
    if (options.cursorFile && fs.existsSync(options.cursorFile)) {
      this.cursor = fs.readFileSync(options.cursorFile, 'utf8');
    }
  }

  // End as soon as what has been read is handled.
  stop() {
    this.stopped = true;
    this.bell.ring();
  }

  // Follow events until stopped, over as many connections as it takes.
  async run() {
    while (!this.stopped) {
      try {
        await this.follow();
      } catch (problem) {
        // without a right or a function, or with a cursor that is none, it is
        // no use to try again
        if (!(problem instanceof DatabaseError) ||
            problem.code.startsWith('42') || problem.code === 'OC005') {
          throw problem;
        }
        // soon at first, then seldom; never all listeners at once
        this.delay = Math.min(2 * this.delay || 0.2, LONGEST_DELAY);
        const wait = this.delay * (0.5 + Math.random() / 2);
        say(`${problem.message}; trying again in ${wait.toFixed(1)} s`);
        await this.bell.wait(wait);
      }
    }
  }

  // Follow events over one connection until it is lost.
  //
  // Nothing here stays in a transaction: that would hold back the tail of the
  // server's notification queue, and vacuum.
  async follow() {
    const bell = new Bell();
    const client = new Client({
      connectionString: this.options.dsn,
      connectionTimeoutMillis: 10000,
      query_timeout: 60000,     // a server may vanish silently
    });
    let lost = null;
    client.on('notification', () => bell.ring());
    client.on('error', (problem) => {
      lost ??= problem;
      bell.ring();
    });
    const ask = async (text, values) => {
      try {
        return (await client.query(text, values)).rows;
      } catch (problem) {
        throw new DatabaseError(lost ?? problem);
      }
    };

    this.bell = bell;
    try {
      await client.connect().catch((problem) => {
        throw new DatabaseError(problem);
      });
      let listening;
      while (!this.stopped) {
        // Listen first, then read: what is committed after the read is then
        // sure to be announced.  A standby may be promoted.
        if (!listening) {
          const before = listening;
          listening = await listen(ask);
          if (listening !== before) {
            say(listening ? 'listening' : 'polling a standby');
          }
        }
        if (this.cursor === null) await this.begin(ask);
        await this.catchUp(ask);
        this.delay = 0;
        if (this.stopped) break;
        await bell.wait(listening ? this.options.interval : STANDBY_INTERVAL);
      }
    } finally {
      this.bell = new Bell();   // this one may still ring for the old connection
      client.end().catch(() => {});
    }
  }

  // Print the state, and begin behind exactly what it has.
  async begin(ask) {
    await ask('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    const [{ cursor }] = await ask('SELECT evcharge.event_cursor() AS cursor');
    const state = await ask(STATE);
    await ask('COMMIT');
    for (const { row } of state) await print(row);
    this.keep(cursor);
  }

  // Read and handle all that was committed since the cursor.
  //
  // A call that returns less than a page has reached the end.  Where two
  // transactions met on a charge point its events may come in another order
  // than that of their ids; up to such an end none is missing between them, so
  // all of it is read before any is handled.
  async catchUp(ask) {
    const rows = [];
    let cursor = this.cursor;
    let page;
    do {
      page = await ask(EVENTS, [cursor, PAGE]);
      if (page.length > 0) cursor = page[page.length - 1].event.next_cursor;
      rows.push(...page);
    } while (page.length === PAGE);
    rows.sort(({ event: a }, { event: b }) =>
      (a.charge_point_id > b.charge_point_id) -
        (a.charge_point_id < b.charge_point_id) || a.event_id - b.event_id);
    for (const { event, change } of rows) {
      delete event.next_cursor;
      await this.handle(event, change);
    }
    if (rows.length > 0) this.keep(cursor);
  }

  // Do with an event what the program is for; "change" is the message that
  // tells the peers of a gateway.
  async handle(event, change) {
    if (this.options.forward) event.state_change = change.toString('base64');
    await print(event);
  }

  // Remember that all before the cursor is handled.
  //
  // The file is replaced in one step, so it always has a whole cursor.
  keep(cursor) {
    this.cursor = cursor;
    if (this.options.cursorFile) {
      const file = `${this.options.cursorFile}.new`;
      const fd = fs.openSync(file, 'w');
      fs.writeSync(fd, cursor);
      fs.fsyncSync(fd);
      fs.closeSync(fd);
      fs.renameSync(file, this.options.cursorFile);
    }
  }
}

// Listen to all that evcharge announces; a hot standby does not let us.
async function listen(ask) {
  try {
    for (const channel of CHANNELS) await ask(`LISTEN ${channel}`);
  } catch (problem) {
    if (problem.code !== '25006') throw problem;
    return false;
  }
  return true;
}

// Print a line, and return when it has gone out.
function print(value) {
  return new Promise((resolve, reject) => {
    process.stdout.write(`${JSON.stringify(value)}\n`,
      (problem) => (problem ? reject(problem) : resolve()));
  });
}

// Tell whoever runs the program.
function say(text) {
  console.error(`listen: ${text}`);
}

const USAGE = `usage: listen.js [--dsn URI] [--cursor-file FILE] [--forward]
                 [--interval SECONDS]

  --dsn URI            the database (default: what PGHOST, PGDATABASE and so
                       on say)
  --cursor-file FILE   keep the place in this file
  --forward            with each event, the message for the peers of a gateway:
                       state_change, in base64
  --interval SECONDS   look for events after this time without a notification,
                       too (default 30)`;

async function main() {
  const { values } = parseArgs({
    options: {
      dsn: { type: 'string' },
      'cursor-file': { type: 'string' },
      forward: { type: 'boolean' },
      interval: { type: 'string', default: '30' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const listener = new Listener({
    dsn: values.dsn,
    cursorFile: values['cursor-file'],
    forward: values.forward,
    interval: Number(values.interval),
  });
  // the second time the signal ends the program at once
  process.once('SIGTERM', () => listener.stop());
  process.once('SIGINT', () => listener.stop());
  process.stdout.on('error', () => {});       // print() tells
  await listener.run();
}

main().catch((problem) => {
  say(problem.message);
  process.exitCode = 1;
});
