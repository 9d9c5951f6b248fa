#!/usr/bin/python3
"""Follow what happens at the charge points, and lose nothing.

It prints the state of all connectors as it stands, one JSON object a line, and
then every event from there on, as it is committed; those have an event_id.
Whatever happens to the server and to the connection, each event is printed
once, those of one charge point in the order of their ids.

With --cursor-file the place outlives the program: started again it goes on
where it was, without the state.  The place is written after the events were
handled, so a program that is killed in between handles those again: at least
once.  SIGTERM and SIGINT end it in good order.

It needs a role with the rights of a reader (evcharge.grant_access) and Debian's
python3-psycopg2.
"""

import argparse
import base64
import contextlib
import json
import os
import random
import select
import signal
import sys

import psycopg2
import psycopg2.extensions

CHANNELS = ["evcharge_charge_point", "evcharge_connector",
            "evcharge_transaction", "evcharge_auth"]

STATE = """
    SELECT row_to_json(s)
    FROM (SELECT charge_point_id, p.last_event_id, c.connector_id, c.status,
              c.transaction_id
          FROM evcharge.charge_point_overview p
              LEFT JOIN evcharge.connector_overview c USING (charge_point_id)
          ORDER BY charge_point_id, connector_id) s"""

EVENTS = """
    SELECT row_to_json(e), evcharge.state_change(e)
    FROM evcharge.events_since(%s, %s) e"""

PAGE = 1000                 # events of one call
STANDBY_INTERVAL = 1        # seconds; a standby has no notifications
LONGEST_DELAY = 30          # seconds between attempts to connect


class Listener:
    """A place in the events, and how to go on from it."""

    def __init__(self, options):
        self.options = options
        self.cursor = None
        self.delay = 0
        self.stopped = False
        self.wake, self.waker = os.pipe()
        if options.cursor_file and os.path.exists(options.cursor_file):
            with open(options.cursor_file, encoding="utf-8") as file:
                self.cursor = file.read()

    def stop(self, number, _frame):
        """End as soon as what has been read is handled; at once if told so
        again."""
        self.stopped = True
        os.write(self.waker, b".")
        signal.signal(number, signal.SIG_DFL)

    def run(self):
        """Follow events until stopped, over as many connections as it takes."""
        while not self.stopped:
            try:
                self.follow()
            except psycopg2.Error as problem:
                # without a right or a function, or with a cursor that is none,
                # it is no use to try again
                code = problem.pgcode or ""
                if code.startswith("42") or code == "OC005":
                    raise
                # soon at first, then seldom; never all listeners at once
                self.delay = min(2 * self.delay or 0.2, LONGEST_DELAY)
                wait = self.delay * random.uniform(0.5, 1)
                say(f"{message(problem)}; trying again in {wait:.1f} s")
                self.wait(wait)

    def follow(self):
        """Follow events over one connection until it is lost.

        Nothing here stays in a transaction: that would hold back the tail of
        the server's notification queue, and vacuum.
        """
        with contextlib.closing(connect(self.options.dsn)) as connection:
            listening = None
            while not self.stopped:
                # Listen first, then read: what is committed after the read is
                # then sure to be announced.  A standby may be promoted.
                if not listening:
                    before, listening = listening, listen(connection)
                    if listening is not before:
                        say("listening" if listening else "polling a standby")
                if self.cursor is None:
                    self.begin(connection)
                self.catch_up(connection)
                self.delay = 0

                # A query may have brought notifications of what it did not see.
                if not connection.notifies:
                    self.wait(self.options.interval if listening
                              else STANDBY_INTERVAL, connection)
                connection.poll()
                connection.notifies.clear()

    def wait(self, seconds, *connection):
        """Wait until something arrives, we are stopped, or it takes too long."""
        select.select([self.wake, *connection], [], [], seconds)

    def begin(self, connection):
        """Print the state, and begin behind exactly what it has."""
        with connection.cursor() as query:
            query.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            query.execute("SELECT evcharge.event_cursor()")
            cursor = query.fetchone()[0]
            query.execute(STATE)
            rows = query.fetchall()
            query.execute("COMMIT")
        for row, in rows:
            print(json.dumps(row))
        self.keep(cursor)

    def catch_up(self, connection):
        """Read and handle all that was committed since the cursor.

        A call that returns less than a page has reached the end.  Where two
        transactions met on a charge point its events may come in another order
        than that of their ids; up to such an end none is missing between them,
        so all of it is read before any is handled.
        """
        cursor = self.cursor
        events = []
        with connection.cursor() as query:
            while True:
                query.execute(EVENTS, (cursor, PAGE))
                page = query.fetchall()
                for event, change in page:
                    cursor = event.pop("next_cursor")
                    events.append((event, change))
                if len(page) < PAGE:
                    break
        events.sort(key=lambda e: (e[0]["charge_point_id"], e[0]["event_id"]))
        for event, change in events:
            self.handle(event, bytes(change))
        if events:
            self.keep(cursor)

    def handle(self, event, change):
        """Do with an event what the program is for; "change" is the message
        that tells the peers of a gateway."""
        if self.options.forward:
            event["state_change"] = base64.b64encode(change).decode()
        print(json.dumps(event))

    def keep(self, cursor):
        """Remember that all before the cursor is handled.

        The file is replaced in one step, so it always has a whole cursor.
        """
        sys.stdout.flush()
        self.cursor = cursor
        if self.options.cursor_file:
            new = self.options.cursor_file + ".new"
            with open(new, "w", encoding="utf-8") as file:
                file.write(cursor)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, self.options.cursor_file)


def connect(dsn):
    """Connect, so that a server that vanished silently is noticed."""
    connection = psycopg2.connect(**{
        "connect_timeout": 10,          # seconds
        "tcp_user_timeout": 30000,      # milliseconds
        **psycopg2.extensions.parse_dsn(dsn)})
    connection.autocommit = True
    return connection


def listen(connection):
    """Listen to all that evcharge announces; a hot standby does not let us."""
    try:
        with connection.cursor() as query:
            for channel in CHANNELS:
                query.execute(f"LISTEN {channel}")
    except psycopg2.errors.ReadOnlySqlTransaction:
        return False
    return True


def message(problem):
    """Return what an error says, in one line."""
    return str(problem).partition("\n")[0]


def say(text):
    """Tell whoever runs the program."""
    print(f"listen: {text}", file=sys.stderr, flush=True)


def main():
    """Listen the way the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--dsn", default="", help="libpq connection string or URI"
        " (default: what PGHOST, PGDATABASE and so on say)")
    add("--cursor-file", metavar="FILE", help="keep the place in this file")
    add("--forward", action="store_true", help="with each event, the message"
        " for the peers of a gateway: state_change, in base64")
    add("--interval", metavar="SECONDS", type=float, default=30,
        help="look for events after this time without a notification, too"
        " (default 30)")
    listener = Listener(parser.parse_args())
    signal.signal(signal.SIGTERM, listener.stop)
    signal.signal(signal.SIGINT, listener.stop)
    listener.run()


if __name__ == "__main__":
    try:
        main()
    except (psycopg2.Error, OSError) as problem:
        sys.exit(f"listen: {message(problem)}")
