#!/usr/bin/python3
"""Send a database with evcharge what a gateway would have sent.

Charging sessions, of a CSV file or of a made-up site, become the protobuf
messages of a gateway: boot notification, connector status, transaction start,
progress, transaction stop.  They go to the database in the order of their
times, one call each, over ordinary connections.

A CSV file has a header and the columns charge_point_id, connector_id,
transaction_id, started_at, ended_at (ISO 8601 with offset) and energy_wh.
Without one, the replayer makes a week of a workplace with 28 charge points and
55 connectors; the same seed makes the same week.

Run it on a database where "CREATE EXTENSION evcharge" and "SELECT
evcharge.install()" were run.  It needs Debian's protobuf-compiler,
python3-protobuf and python3-psycopg2.
"""

import argparse
import collections
import concurrent.futures
import csv
import datetime
import random
import sys
import threading
import time

import psycopg2

import messages

DAY = datetime.timedelta(days=1)
MINUTE = datetime.timedelta(minutes=1)
SECOND = datetime.timedelta(seconds=1)

COLUMNS = ["charge_point_id", "connector_id", "transaction_id",
           "started_at", "ended_at", "energy_wh"]

Session = collections.namedtuple("Session", [
    "charge_point", "connector", "transaction", "start", "end", "energy",
    "full_at",              # the vehicle takes no more; None if it always does
    "late_status",          # the first status arrives after the second
    "repeated",             # the charge point reports the end twice
], defaults=(None, False, False))

# A connector is out of order for a while, then as it was before.
Fault = collections.namedtuple("Fault", "charge_point connector start end")

Message = collections.namedtuple("Message", "at function arguments")

STATEMENTS = {
    "boot_notification":
        "PREPARE boot_notification (text, bytea) AS"
        " SELECT evcharge.boot_notification($1, $2)",
    "report_connector":
        "PREPARE report_connector (text, bytea, timestamptz) AS"
        " SELECT evcharge.report_connector($1, $2, $3)",
    "report_transaction":
        "PREPARE report_transaction (text, bytea) AS"
        " SELECT evcharge.report_transaction($1, $2)",
    "report_progress":
        "PREPARE report_progress (text, int, bytea, timestamptz) AS"
        " SELECT evcharge.report_progress($1, $2, $3, $4)",
}


# ---------------------------------------------------------------------------
# Sessions
# ---------------------------------------------------------------------------

def read_sessions(path):
    """Read the sessions of a CSV file."""
    sessions = []
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        missing = set(COLUMNS) - set(rows.fieldnames or [])
        if missing:
            sys.exit(f"{path}: no column {', '.join(sorted(missing))}")
        for row in rows:
            try:
                session = Session(
                    row["charge_point_id"], int(row["connector_id"]),
                    int(row["transaction_id"]),
                    datetime.datetime.fromisoformat(row["started_at"]),
                    datetime.datetime.fromisoformat(row["ended_at"]),
                    int(row["energy_wh"]))
                if session.start.tzinfo is None or session.end.tzinfo is None:
                    raise ValueError("a time has no offset")
                if session.end < session.start:
                    raise ValueError("it ends before it starts")
            except (TypeError, ValueError) as error:
                sys.exit(f"{path}, line {rows.line_num}: {error}")
            sessions.append(session)
    return sessions


def write_sessions(path, sessions):
    """Write sessions as the CSV file that read_sessions() reads."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for s in sessions:
            writer.writerow([s.charge_point, s.connector, s.transaction,
                             s.start.isoformat(), s.end.isoformat(),
                             s.energy])


def choose_days(sessions, first_day, days):
    """Keep the sessions that start on some days in a row.

    Without a first day these are the days with the most sessions, because an
    arbitrary day of a real site may well be an empty one.
    """
    if first_day is None:
        per_day = collections.Counter(s.start.date() for s in sessions)
        if days is None or not per_day:
            return sessions
        first_day = max(sorted(per_day), key=lambda day: sum(
            per_day[day + i * DAY] for i in range(days)))
    return [s for s in sessions if first_day <= s.start.date()
            and (days is None or s.start.date() < first_day + days * DAY)]


def make_sessions(seed, first_day, days):
    """Make up a workplace: its connectors, their sessions and faults.

    People arrive in the morning, charge until the vehicle is full and often
    stay plugged in; some leave at noon and make room for another; a few stay
    until the next day.  Some vehicles refuse to charge at first.
    """
    chance = random.Random(seed)
    connectors = [(f"CP-{n:02}", c) for n in range(1, 29) for c in (1, 2)][:-1]
    midnight = datetime.datetime.combine(first_day, datetime.time(),
                                         datetime.timezone.utc)
    free_from = dict.fromkeys(connectors, midnight)
    plugged = []

    def plug(place, start, end, energy, full_at):
        """Add a session, unless the connector is still taken."""
        start, end = (t.replace(microsecond=0) for t in (start, end))
        if start >= free_from[place] and end > start:
            plugged.append(Session(*place, 0, start, end, energy, full_at))
            free_from[place] = end + 3 * MINUTE

    for day in range(days):
        today = midnight + day * DAY
        weekend = today.weekday() >= 5
        for place in connectors:
            # Two waves: from half past eight, and after lunch.
            for hour, share in ((8.5, 0.8), (13.25, 0.5)):
                if chance.random() > (share / 12 if weekend else share):
                    continue
                arrival = today + chance.gauss(hour, 0.75) * 60 * MINUTE
                stay = max(chance.gauss(4.5, 2), 0.25) * 60 * MINUTE
                if chance.random() < 0.03:
                    stay += 14 * 60 * MINUTE
                if chance.random() < 0.03:      # refused, then plugged again
                    refused = chance.uniform(1, 4) * MINUTE
                    plug(place, arrival, arrival + refused, 0, None)
                    arrival += refused + 4 * MINUTE
                power = chance.choice((3700, 7400, 7400, 11000, 22000))
                wanted = min(chance.lognormvariate(9.95, 0.6), 100000)
                taken = min(wanted, power * stay / (60 * MINUTE))
                full_at = (arrival + taken / power * 60 * MINUTE).replace(
                    microsecond=0)
                if full_at > arrival + stay - 5 * MINUTE:
                    full_at = None
                plug(place, arrival, arrival + stay, int(taken), full_at)

    # Number the sessions as a charge point would; some get a mishap.
    plugged.sort(key=lambda s: s.start)
    few = len(plugged) // 60 + 1
    late, repeated, faulty, idle = (
        set(chance.sample(range(len(plugged)), min(few, len(plugged))))
        for _ in range(4))
    numbers = collections.Counter()
    sessions, faults = [], []
    for i, s in enumerate(plugged):
        numbers[s.charge_point] += 1
        sessions.append(s._replace(transaction=numbers[s.charge_point],
                                   late_status=i in late,
                                   repeated=i in repeated))
        charging = (s.full_at or s.end) - s.start
        if i in faulty and charging > 30 * MINUTE:
            faults.append(Fault(s.charge_point, s.connector,
                                s.start + charging // 3 // SECOND * SECOND,
                                s.start + charging // 2 // SECOND * SECOND))
        if i in idle and not any(
                o[:2] == s[:2] and s.end < o.start < s.end + 60 * MINUTE
                for o in plugged):
            faults.append(Fault(s.charge_point, s.connector,
                                s.end + 10 * MINUTE, s.end + 50 * MINUTE))
    return connectors, sessions, faults


# ---------------------------------------------------------------------------
# Messages
# ---------------------------------------------------------------------------

class Connector:
    """What a charge point knows of one of its connectors."""

    def __init__(self):
        self.register = 0       # the meter, in Wh
        self.status = None
        self.transaction = 0    # the newest, while it is open


class ChargePoints:
    """Some charge points of a site, as their gateway hears them."""

    def __init__(self, gateway, connectors, sessions, faults, samples,
                 opening):
        self.gateway = gateway
        self.connectors = {place: Connector() for place in sorted(connectors)}
        self.start_meter = {}   # by session
        self.moments = []       # (time, rank, order, step, action, argument)

        for i, s in enumerate(sorted(sessions, key=lambda s: s[3:5])):
            # What ends makes room for what starts at the same time, but a
            # session without length still starts before it ends.
            start, end = (2, 0) if s.end > s.start else (1, 1)
            self.moments += [(s.start, start, i, 0, self.start, s),
                             (s.end, end, i, 1, self.end, s)]
            seconds = (s.end - s.start) // SECOND
            for at in {s.start + seconds * n // (samples + 1) * SECOND
                       for n in range(1, samples + 1)} - {s.start, s.end}:
                self.moments.append((at, 1, i, 0, self.progress, (s, at)))
            if s.full_at:
                self.moments.append((s.full_at, 1, i, 0, self.full, s))
        for i, f in enumerate(faults):
            self.moments += [(f.start, 3, i, 0, self.fault, f),
                             (f.end, 3, i, 1, self.repair, f)]
        for i, name in enumerate(sorted({name for name, _ in connectors})):
            # A charge point is new on the day of its first session.
            day = min((s.start for s in sessions if s.charge_point == name),
                      default=opening).replace(hour=0, minute=0, second=0)
            self.moments.append((day, -1, i, 0, self.boot, (name, day)))
        self.moments.sort(key=lambda moment: moment[:4])

    def boot(self, argument):
        """The charge point and its connectors introduce themselves."""
        charge_point, at = argument
        yield Message(at, "boot_notification", (
            charge_point, self.gateway.BootNotificationRequestData(
                charge_point_model="Twin 22",
                Charge_point_vendor="Example",
                Charge_point_serial_number=charge_point,
                firmware_version="1.6.2",
                meter_type="MID")))
        yield self.connector_info(charge_point, 0, "AVAILABLE", at)
        for owner, number in self.connectors:
            if owner == charge_point:
                yield self.status(owner, number, "AVAILABLE", at)

    def start(self, s):
        """A vehicle is plugged in and begins to charge.

        If another transaction has the connector, this one takes it over; the
        connector says nothing new, for it is charging already.
        """
        connector = self.connectors[s[:2]]
        idle = not connector.transaction
        if idle and not s.late_status:
            yield self.status(*s[:2], "PREPARING", s.start)
        connector.transaction = s.transaction
        self.start_meter[s] = connector.register
        yield Message(s.start, "report_transaction", (
            s.charge_point, self.gateway.TransactionInfo(
                id=s.transaction, connector_id=s.connector,
                start_time=s.start.isoformat(),
                start_meter=connector.register)))
        if idle:
            yield self.status(*s[:2], "CHARGING", s.start)
        if idle and s.late_status:
            yield self.connector_info(*s[:2], "PREPARING",
                                      s.start - 20 * SECOND)

    def progress(self, argument):
        """The current and the voltage that the vehicle is offered."""
        s, at = argument
        if self.connectors[s[:2]].transaction != s.transaction:
            return              # another one has taken the connector over
        hours = ((s.full_at or s.end) - s.start) / (60 * MINUTE)
        current = min(max(s.energy / hours / 230, 6), 32)
        wobble = (s.transaction + at.minute) % 9 - 4
        yield Message(at, "report_progress", (
            s.charge_point, s.transaction, self.gateway.EVChargingStatusData(
                current_offered=round(current, 1), current_unit="A",
                voltage_offered=230 + wobble / 2, voltage_unit="V"), at))

    def full(self, s):
        """The vehicle takes no more, and stays."""
        yield self.status(*s[:2], "SUSPENDEDEV", s.full_at)

    def end(self, s):
        """The transaction ends; its connector is free if none took it over."""
        connector = self.connectors[s[:2]]
        start_meter = self.start_meter[s]
        end_meter = start_meter + s.energy
        connector.register = max(connector.register, end_meter)
        leaves = connector.transaction == s.transaction
        if leaves:
            yield self.status(*s[:2], "FINISHING", s.end)
            connector.transaction = 0
        for _ in range(2 if s.repeated else 1):
            yield Message(s.end, "report_transaction", (
                s.charge_point, self.gateway.TransactionInfo(
                    id=s.transaction, connector_id=s.connector,
                    start_time=s.start.isoformat(), start_meter=start_meter,
                    end_time=s.end.isoformat(), end_meter=end_meter)))
        if leaves:
            yield self.status(*s[:2], "AVAILABLE", s.end)

    def fault(self, f):
        """The connector is out of order."""
        before = self.connectors[f[:2]].status
        yield self.status(f.charge_point, f.connector, "FAULTED", f.start)
        self.connectors[f[:2]].status = before

    def repair(self, f):
        """The connector is in order again, and as it was before."""
        yield self.status(f.charge_point, f.connector,
                          self.connectors[f[:2]].status, f.end)

    def status(self, charge_point, number, status, at):
        """Tell the status that the connector has from now on."""
        self.connectors[charge_point, number].status = status
        return self.connector_info(charge_point, number, status, at)

    def connector_info(self, charge_point, number, status, at):
        """Tell the status of a connector; 0 is the charge point itself."""
        transaction = (self.connectors[charge_point, number].transaction
                       if number else 0)
        return Message(at, "report_connector", (
            charge_point, self.gateway.ConnectorInfo(
                id=number, status=status, current_transaction=transaction),
            at))


# ---------------------------------------------------------------------------
# Sending
# ---------------------------------------------------------------------------

class Sender:
    """Sends the messages of some charge points over a connection of its own.

    One connection for all messages of a charge point keeps them in order.
    """

    def __init__(self, dsn, charge_points, window, stop):
        self.dsn = dsn
        self.charge_points = charge_points
        self.window = window
        self.stop = stop
        self.done = 0           # moments
        self.sent = collections.Counter()

    def run(self):
        """Send everything, in time order."""
        connection = psycopg2.connect(self.dsn)
        try:
            connection.autocommit = True
            cursor = connection.cursor()
            for statement in STATEMENTS.values():
                cursor.execute(statement)
            for *_, action, argument in self.charge_points.moments:
                if self.stop.is_set():
                    return
                for message in action(argument):
                    if self.window[0] <= message.at < self.window[1]:
                        self.send(cursor, message)
                self.done += 1
        except BaseException:
            self.stop.set()
            raise
        finally:
            connection.close()

    def send(self, cursor, message):
        """Send one message: the wire bytes are a parameter of the call."""
        cursor.execute("EXECUTE {} ({})".format(
            message.function, ", ".join(["%s"] * len(message.arguments))),
            messages.parameters(message.arguments))
        self.sent[message.function] += 1


class ProgressBar:
    """How far the senders are: redrawn on a terminal, else a line at times."""

    WIDTH = 40

    def __init__(self, senders):
        self.senders = senders
        self.total = sum(len(s.charge_points.moments) for s in senders) or 1
        self.started = self.printed = time.monotonic()
        self.tenths = 0

    def show(self, last=False):
        """Show it; on a terminal always, else after 10 percent or 5 s."""
        now = time.monotonic()
        part = sum(s.done for s in self.senders) / self.total
        sent = sum(sum(s.sent.values()) for s in self.senders)
        rate = sent / max(now - self.started, 0.001)
        line = "[{:<{}}] {:4.0%}  {:,} messages, {:,.0f} per second".format(
            "#" * int(part * self.WIDTH), self.WIDTH, part, sent, rate)
        if sys.stderr.isatty():
            sys.stderr.write("\r" + line + "\033[K" + "\n" * last)
        elif last or now - self.printed >= 5 or int(part * 10) > self.tenths:
            sys.stderr.write(line + "\n")
            self.printed, self.tenths = now, int(part * 10)
        sys.stderr.flush()


def send_all(senders):
    """Run all senders and show how far they are; return the seconds taken."""
    bar = ProgressBar(senders)
    with concurrent.futures.ThreadPoolExecutor(len(senders)) as pool:
        running = {pool.submit(sender.run) for sender in senders}
        failed = None
        try:
            while running:
                done, running = concurrent.futures.wait(running, 0.2)
                for future in done:
                    failed = failed or future.exception()
                bar.show(last=not running)
        except KeyboardInterrupt:
            senders[0].stop.set()
            raise
    if failed:
        raise failed
    return time.monotonic() - bar.started


def summarize(dsn, sent, seconds):
    """Print what was sent and what the database made of it."""
    def row(name, value, more=""):
        print(f"  {name:<26}{value:>12,}{more}")

    total = sum(sent.values())
    print(f"Sent {total:,} messages in {seconds:.1f} s,"
          f" {total / max(seconds, 0.001):,.0f} per second")
    for name in STATEMENTS:
        row(name, sent[name])

    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    cursor = connection.cursor()

    def ask(query):
        cursor.execute(query)
        return cursor.fetchall()

    print("The database has")
    row("charge points", ask(
        "SELECT count(*) FROM evcharge.charge_point_overview")[0][0])
    row("connectors", ask(
        "SELECT count(*) FROM evcharge.connector_overview")[0][0])
    closed, energy = ask(
        "SELECT count(*), coalesce(sum(energy_kwh), 0)"
        "  FROM evcharge.transaction_history")[0]
    row("closed transactions", closed, f"  {energy:,.3f} kWh")
    row("open transactions", ask(
        "SELECT count(*) FROM evcharge.active_transaction")[0][0])
    anomalies = ask("SELECT reason, count(*) FROM evcharge.anomaly"
                    " GROUP BY reason ORDER BY reason")
    row("anomalies", sum(count for _, count in anomalies))
    for reason, count in anomalies:
        row("  " + reason, count)
    broken = ask("SELECT * FROM evcharge.check_integrity()")
    print("check_integrity() finds",
          f"{len(broken):,} violations:" if broken else "nothing")
    for violation in broken[:20]:
        print(" ", *violation)
    connection.close()
    return not broken


# ---------------------------------------------------------------------------

def arguments():
    """Parse the command line."""
    def date(text):
        return datetime.date.fromisoformat(text)

    def at_least(low):
        def number(text):
            if int(text) < low:
                raise ValueError
            return int(text)
        return number

    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--csv", metavar="FILE", help="sessions to replay")
    add("--dsn", default="", help="libpq connection string"
        " (default: what PGHOST, PGDATABASE and so on say)")
    add("--jobs", metavar="N", type=at_least(1), default=1,
        help="connections; each serves some of the charge points (default 1)")
    add("--days", metavar="N", type=at_least(1), help="days to replay:"
        " from --from, else the busiest of the file (default: all of the"
        " file, or a week)")
    add("--from", metavar="DATE", type=date, dest="first_day",
        help="first day (default: the file's, or 2024-01-08)")
    add("--after", metavar="HH:MM", type=datetime.time.fromisoformat,
        help="send only what happens from this time of the first day on")
    add("--until", metavar="HH:MM", type=datetime.time.fromisoformat,
        help="send only what happens before this time of the first day")
    add("--progress", metavar="N", type=at_least(0), default=3,
        help="progress reports of a session (default 3)")
    add("--seed", metavar="N", type=int, default=1,
        help="of the sessions that are made up (default 1)")
    add("--write-csv", metavar="FILE", help="write the sessions to a file too")
    return parser.parse_args()


def main():
    """Replay what the command line asks for."""
    options = arguments()
    if options.csv:
        sessions = read_sessions(options.csv)
        connectors = {s[:2] for s in sessions}
        sessions = choose_days(sessions, options.first_day, options.days)
        faults = []
    else:
        connectors, sessions, faults = make_sessions(
            options.seed, options.first_day or datetime.date(2024, 1, 8),
            options.days or 7)
    if not sessions:
        sys.exit("there are no sessions on these days")
    if options.write_csv:
        write_sessions(options.write_csv, sessions)

    first = min(s.start for s in sessions)

    def on_first_day(clock, default):
        if clock is None:
            return default.replace(tzinfo=datetime.timezone.utc)
        return datetime.datetime.combine(first, clock, first.tzinfo)

    window = (on_first_day(options.after, datetime.datetime.min),
              on_first_day(options.until, datetime.datetime.max))

    gateway = messages.load()
    names = sorted({name for name, _ in connectors})
    jobs = min(options.jobs, len(names))
    stop = threading.Event()
    senders = []
    for job in range(jobs):
        mine = set(names[job::jobs])
        senders.append(Sender(options.dsn, ChargePoints(
            gateway,
            [place for place in connectors if place[0] in mine],
            [s for s in sessions if s.charge_point in mine],
            [f for f in faults if f.charge_point in mine],
            options.progress, first), window, stop))

    kwh = sum(s.energy for s in sessions) / 1000
    print(f"Replaying {len(sessions):,} sessions of {len(names)} charge points"
          f" from {first:%Y-%m-%d} on, {kwh:,.3f} kWh")
    sys.stdout.flush()
    seconds = send_all(senders)
    sent = sum((s.sent for s in senders), collections.Counter())
    return 0 if summarize(options.dsn, sent, seconds) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except (psycopg2.Error, OSError) as problem:
        sys.exit(f"replay: {problem}")
