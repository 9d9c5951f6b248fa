#!/usr/bin/python3
"""Call everything at once on a few charge points, and lose nothing.

Sixteen connections make random calls of all kinds on six charge points with
two connectors each, so that they really meet: on an unknown charge point, a
connector, a transaction, an auth entry.  Some calls are alone, some stand with
others in a transaction that commits or not, at every isolation level, with
savepoints.  Meanwhile one connection follows events_since(), one listens, and
one audits.

Each caller keeps a ledger of what was acknowledged.  At the end the tables
must hold exactly that, and no call may have failed but as README.md says.

A transaction with several charge points takes them in the order of their ids,
and batches are of charge points that are known, as README.md says; then no
deadlock may come either.

What a connection calls follows from the seed, how the calls meet does not.
Needs an empty database with the extension, and Debian's protobuf-compiler,
python3-protobuf and python3-psycopg2.
"""

import argparse
import collections
import copy
import datetime
import itertools
import json
import pathlib
import random
import select
import sys
import threading
import time

import psycopg2
from psycopg2 import errorcodes

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent
                       / "examples"))

import messages  # noqa: E402

gateway = messages.load()

CLIENTS = 16
KNOWN = ["CP-1", "CP-2", "CP-3", "CP-4"]
UNKNOWN = ["CP-5", "CP-6"]                  # until a call registers them
CHARGE_POINTS = KNOWN + UNKNOWN
LOADED = ["CP-3", "CP-4", "CP-5", "CP-6"]   # the others never are
CONNECTORS = [1, 2]
SHARED = {f"shared-{n}": f"TAG-{n}" for n in range(1, 5)}
STATUSES = ["PREPARING", "CHARGING", "SuspendedEV", "SUSPENDED_EVSE",
            "FINISHING", "RESERVED", "UNAVAILABLE", "FAULTED"]
VIEWS = ["charge_point_overview", "connector_overview", "active_transaction",
         "transaction_history", "progress_history", "auth_overview",
         "anomaly", "gateway_health"]
COUNT_ONCE = ["report_connector", "report_transaction", "report_progress",
              "report_log", "handle"]
BASE = datetime.datetime(2024, 1, 8, tzinfo=datetime.timezone.utc)

MALFORMED = "OC001"
WRONG_VALUE = "OC005"
SERIALIZATION_FAILURE = errorcodes.SERIALIZATION_FAILURE

# Every other connection has one of these.
SETTINGS = [
    "SET evcharge.keep_authorization = on",
    "SET evcharge.auth_list_history = 3",
    "SET evcharge.auto_register = off",
    "SET evcharge.offline_after = 0",
]
GAPS = """
SELECT charge_point_id, count(*), min(event_id), max(event_id)
FROM evcharge.event GROUP BY 1
HAVING min(event_id) <> 1 OR max(event_id) <> count(*)
"""


class Retry(Exception):
    """The transaction failed as one above READ COMMITTED may."""


class Call:
    """One call: what it says, what may come of it, what that is worth.

    "read" takes the rows of its answer and returns a word for it and the
    entries that it makes in the ledger if it commits.
    """

    def __init__(self, name, charge_point, sql, arguments, read=None,
                 error=None, wrong_value=False):
        self.name = name
        self.charge_point = charge_point
        self.sql = sql
        self.arguments = messages.parameters(arguments)
        self.read = read or (lambda rows: (None, []))
        self.error = error                  # the one that it must get
        self.wrong_value = wrong_value      # or may, if it comes too early
        self.counts_once = False            # however often it is made

    def again(self):
        """The same call, which then adds nothing to the ledger."""
        call = copy.copy(self)
        call.name += " again"
        call.read = lambda rows: (None, [])
        return call


class Shared:
    """What all connections know."""

    def __init__(self, options):
        self.options = options
        self.stop = threading.Event()
        self.done = threading.Event()       # all calls have been made
        self.ticks = itertools.count(1)
        self.known = set(KNOWN)             # for certain
        self.wrong = []

    def complain(self, *what):
        self.wrong.append(" ".join(str(w) for w in what))

    def connect(self):
        connection = psycopg2.connect(self.options.dsn)
        connection.autocommit = True
        return connection


def text_of(moment):
    return moment.isoformat().replace("+00:00", "Z")


class Worker:
    """A connection that makes random calls."""

    def __init__(self, shared, number):
        self.name = f"worker {number}"
        self.shared = shared
        self.number = number
        self.random = random.Random(f"{shared.options.seed}/{number}")
        self.ledger = collections.Counter()
        self.counts = collections.Counter()
        self.mine = []                      # (charge point, connector, key)
        self.states = {}                    # charge point -> wire bytes
        self.open = {}                      # charge point -> transactions
        self.kinds = {
            self.boot: 3, self.heartbeat: 3, self.connector: 14,
            self.transaction: 10, self.progress: 8, self.log: 4,
            self.availability: 4, self.authorize: 5, self.start: 4,
            self.stop: 4, self.state: 5, self.open_transactions: 6,
            self.load: 3, self.registration: 2, self.authorization: 5,
            self.list_changes: 3, self.handle: 3, self.handle_event: 3,
            self.view: 2, self.feed: 2, self.malformed: 2,
            self.wrong_value: 2, self.expire: 2,
        }

    # -- running ----------------------------------------------------------

    def run(self):
        try:
            self.cursor = self.shared.connect().cursor()
            self.cursor.execute("LOAD 'evcharge'")
            if self.number % 2:
                self.cursor.execute(SETTINGS[self.number // 2
                                             % len(SETTINGS)])
            while not self.shared.stop.is_set():
                self.step()
        except Exception as error:          # a thread's would be lost
            self.shared.complain(self.name, repr(error))

    def odds(self, probability):
        return self.random.random() < probability

    def step(self):
        choice = self.random.random()
        if choice < 0.25:
            self.consume()
        elif choice < 0.30:
            self.alone(self.batch())
        elif choice < 0.34:
            self.alone(self.expire_all())
        elif choice < 0.75:
            call = self.random_call()
            self.alone(call)
            if call.counts_once and self.odds(0.2):
                self.alone(call.again())
        elif choice < 0.85:
            self.together([self.random_call()], self.level(),
                          undone=self.odds(0.1))
        else:
            calls = [self.random_call()
                     for _ in range(self.random.randint(2, 4))]
            calls.sort(key=lambda call: call.charge_point or "")
            self.together(calls, self.level(), undone=self.odds(0.3),
                          savepoints=0.4)

    def level(self):
        return self.random.choices(
            ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"],
            [50, 40, 10])[0]

    def random_call(self):
        return self.random.choices(list(self.kinds),
                                   list(self.kinds.values()))[0]()

    def consume(self):
        """Get a consumer of its own a transaction, or end one of those."""
        if self.mine and self.odds(0.5):
            self.either(self.stop())
            return
        charge_point = self.random.choice(CHARGE_POINTS)
        connector = self.random.choice(CONNECTORS)
        key = f"once-{self.number}-{next(self.shared.ticks)}"
        if not self.alone(self.availability(charge_point, connector)):
            return
        if not self.alone(self.authorize(charge_point, key)):
            return
        if not self.either(self.start(charge_point, connector, key)):
            self.alone(self.forget(charge_point, key))
        elif self.odds(0.3):
            self.alone(self.start())

    def either(self, call):
        """Make a call alone or in a transaction; was it granted?"""
        if self.odds(0.5):
            return self.alone(call)
        return self.together([call], self.level(), undone=self.odds(0.1))

    def alone(self, call):
        """Make a call; was it granted?"""
        try:
            word, entries = self.make(call, self.shared.known.copy())
        except psycopg2.Error as error:
            self.failed(call, error)
            return False
        self.commit([(call, word, entries)])
        return word in (None, "granted")

    def together(self, calls, level, undone=False, savepoints=0):
        """Make calls in one transaction; was the last one granted?"""
        points = [savepoints and self.random.choices(
            [None, "RELEASE", "ROLLBACK TO"],
            [1 - savepoints, savepoints / 2, savepoints / 2])[0]
            for _ in calls]
        while True:
            try:
                made = self.attempt(calls, points, level, undone)
                break
            except Retry:
                self.counts[f"retried at {level}"] += 1
                if self.shared.stop.is_set():
                    return False
        if made is None or undone:
            return False
        self.counts[f"transactions at {level}"] += 1
        self.commit(made)
        return bool(made) and made[-1][1] in (None, "granted")

    def attempt(self, calls, points, level, undone):
        """Make calls in one transaction, and return what counts of them."""
        made = []
        known = self.shared.known.copy()
        try:
            self.cursor.execute(f"BEGIN ISOLATION LEVEL {level}")
            for call, point in zip(calls, points):
                if point:
                    self.cursor.execute("SAVEPOINT here")
                try:
                    word, entries = self.make(call, known)
                except psycopg2.Error as error:
                    if error.pgcode == SERIALIZATION_FAILURE:
                        raise
                    self.failed(call, error)
                    if not point:
                        self.cursor.execute("ROLLBACK")
                        return None
                    self.cursor.execute("ROLLBACK TO here")
                    continue
                if point:
                    self.cursor.execute(f"{point} here")
                    self.counts[f"savepoints: {point}"] += 1
                if point != "ROLLBACK TO":
                    made.append((call, word, entries))
            self.cursor.execute("ROLLBACK" if undone else "COMMIT")
            if undone:
                self.counts["transactions rolled back"] += 1
            return made
        except psycopg2.Error as error:
            if (error.pgcode != SERIALIZATION_FAILURE
                    or level == "READ COMMITTED"):
                self.shared.complain(f"at {level}:", error.pgcode, error)
                raise
            self.cursor.execute("ROLLBACK")
            raise Retry from error

    def make(self, call, known):
        """Make a call and read its answer.

        "known" are charge points that the call must see.
        """
        call.may_fail = call.error
        if call.wrong_value and call.charge_point not in known:
            call.may_fail = WRONG_VALUE
        self.cursor.execute(call.sql, call.arguments)
        if call.error:
            self.shared.complain(call.name, "got no error", call.arguments)
        return call.read(self.cursor.fetchall())

    def failed(self, call, error):
        """Count the error of a call, or complain of it."""
        if error.pgcode is not None and error.pgcode == call.may_fail:
            self.counts[f"calls {call.name}: {error.pgcode}"] += 1
        else:
            self.shared.complain(call.name, call.charge_point, error.pgcode,
                                 error)

    def commit(self, made):
        """Enter into the ledger what is committed."""
        for call, word, entries in made:
            self.counts[f"calls {call.name}" + (f" {word}" if word else "")
                        ] += 1
            for entry in entries:
                if entry[0] == "state":
                    self.states[call.charge_point] = entry[1]
                elif entry[0] == "open":
                    self.open[call.charge_point] = entry[1]
                elif entry[0] == "known":
                    self.shared.known.add(entry[1])
                elif entry[0] == "mine":
                    self.mine.append(entry[1])
                else:
                    self.ledger[entry] += 1
                    self.counts[f"acknowledged {entry[0]}"] += 1

    # -- what calls say ---------------------------------------------------

    def tick(self):
        """A time that no other call has, now and then an older one."""
        n = next(self.shared.ticks)
        late = self.random.randint(1, 500) if self.odds(0.15) else 0
        return BASE + datetime.timedelta(seconds=n - late, microseconds=n)

    def somewhere(self):
        return self.random.choice(CHARGE_POINTS)

    def consumer(self):
        return self.random.choice(list(SHARED))

    def some_open(self):
        """A charge point and a transaction that was open there, or None."""
        held = [(charge_point, row) for charge_point, rows in self.open.items()
                for row in rows]
        return self.random.choice(held) if held else (self.somewhere(), None)

    @staticmethod
    def answer(kind, rows):
        """Read the answer to a request: a word for it, and the message."""
        message = kind.FromString(bytes(rows[0][0]))
        return ("refused" if message.resp.error else "granted"), message

    def report(self, name, charge_point, sql, arguments, *entries):
        call = Call(name, charge_point, f"SELECT evcharge.{sql}", arguments,
                    lambda rows: (None, [*entries, ("known", charge_point)]))
        call.counts_once = name in COUNT_ONCE
        return call

    def boot_message(self):
        return gateway.BootNotificationRequestData(
            charge_point_model=self.random.choice(["M1", "M2", ""]),
            firmware_version=str(self.random.randint(1, 9)))

    def boot(self):
        charge_point = self.somewhere()
        return self.report("boot_notification", charge_point,
                           "boot_notification(%s, %s)",
                           [charge_point, self.boot_message()],
                           ("boot", charge_point))

    def heartbeat(self):
        charge_point = self.somewhere()
        return self.report("heartbeat", charge_point, "heartbeat(%s)",
                           [charge_point])

    def connector_message(self):
        info = gateway.ConnectorInfo(
            id=self.random.choice(CONNECTORS),
            status="AVAILABLE" if self.odds(0.75)
            else self.random.choice(STATUSES))
        if self.odds(0.05):
            info.id = self.random.choice([-1, 0, 0, 3])
        if self.odds(0.05):
            info.status = self.random.choice(["", "BROKEN", "charging "])
        if self.odds(0.1):
            info.current_transaction = self.random.randint(-1, 50)
        return info

    def connector(self):
        charge_point = self.somewhere()
        return self.report("report_connector", charge_point,
                           "report_connector(%s, %s, %s)",
                           [charge_point, self.connector_message(),
                            self.tick()])

    def transaction_message(self, known):
        """A start or an end; of what is known to be open, or of anything.

        A tag of a consumer of one transaction comes with its id only: without
        it the charge point might tell of a second one.
        """
        info = gateway.TransactionInfo(connector_id=self.random.choice(
            CONNECTORS))
        if known and self.odds(0.7):
            info.id, info.connector_id, tag = known
            info.id_tag = tag or ""
        else:
            info.id = self.random.choices(
                [0, -1, self.random.randint(1, 300), 2147483647],
                [70, 10, 20, 0.1])[0]
            info.id_tag = self.random.choice([*SHARED.values(), "LOCAL", ""])
        info.start_time = text_of(self.tick())
        info.start_meter = self.random.randint(0, 1000)
        if self.odds(0.6):
            info.end_time = text_of(self.tick())
            info.end_meter = self.random.randint(500, 9000)
        if self.odds(0.2):
            info.progress.CopyFrom(self.progress_message())
        if self.odds(0.05):
            info.start_time = self.random.choice(["", "yesterday"])
        if self.odds(0.05):
            info.end_time = self.random.choice(["soon", "2024-13-01"])
        if self.odds(0.05):
            info.connector_id = self.random.choice([0, -7])
        return info

    def transaction(self):
        charge_point, known = self.some_open()
        return self.report("report_transaction", charge_point,
                           "report_transaction(%s, %s)",
                           [charge_point, self.transaction_message(known)])

    def progress_message(self):
        return gateway.EVChargingStatusData(
            current_offered=self.random.choice([0, 6, 16, 32, float("nan")]),
            current_unit="A", voltage_offered=230, voltage_unit="V")

    def progress(self):
        charge_point, known = self.some_open()
        number = (known[0] if known and self.odds(0.8)
                  else self.random.choice([None, 0, -1, 77777]))
        at = self.tick()
        call = self.report("report_progress", charge_point,
                           "report_progress(%s, %s, %s, %s)",
                           [charge_point, number, self.progress_message(), at],
                           ("sample", charge_point, at))
        # without an id it is of what is open, which may be another next time
        call.counts_once = number not in (None, 0, -1)
        return call

    def log_message(self):
        """A log that no other call makes."""
        return gateway.LogData(
            current_time=text_of(self.tick()),
            resp=gateway.Response(
                error=self.odds(0.5),
                message=f"log-{self.number}-{next(self.shared.ticks)}"))

    def log(self):
        charge_point = self.somewhere()
        message = self.log_message()
        return self.report("report_log", charge_point, "report_log(%s, %s)",
                           [charge_point, message],
                           ("log", charge_point, message.resp.message))

    def batch(self):
        """Reports of known charge points in any order, some malformed."""
        count = self.random.randint(2, 8)
        ids = [self.random.choice(KNOWN) for _ in range(count)]
        rows, entries, bad = [], [], []
        for position, charge_point in enumerate(ids, 1):
            at = self.tick()
            number = None
            choice = self.random.random()
            if choice < 0.4:
                message = self.connector_message()
            elif choice < 0.6:
                message = self.transaction_message(None)
            elif choice < 0.75:
                message = self.progress_message()
                number = self.random.randint(0, 100)
                entries.append(("sample", charge_point, at))
            elif choice < 0.9:
                message = self.log_message()
                entries.append(("log", charge_point, message.resp.message))
            elif choice < 0.95:
                message = self.boot_message()
                entries.append(("boot", charge_point))
            else:
                bad.append((position, MALFORMED))
                rows.append(("LogData", b"\x0a\xff", at, number))
                continue
            rows.append((message.DESCRIPTOR.name, message.SerializeToString(),
                         at, number))

        def read(answer):
            if answer != bad:
                self.shared.complain("apply_batch found", answer, "not", bad)
            return None, entries

        kinds, bytes_, times, numbers = zip(*rows)
        return Call("apply_batch", None, """
            SELECT "position", sqlstate FROM evcharge.apply_batch(
                %s, %s, %s::bytea[], %s, %s::int[]) ORDER BY 1""",
                    [ids, list(kinds), [psycopg2.Binary(b) for b in bytes_],
                     list(times), list(numbers)], read)

    def availability(self, charge_point=None, connector=None):
        charge_point = charge_point or self.somewhere()
        request = gateway.CheckAvailabilityRequestData(
            charge_point_client_id=charge_point,
            connector_id=connector or self.random.randint(-1, 3))
        return Call("check_availability", charge_point,
                    "SELECT evcharge.check_availability(%s)", [request],
                    lambda rows: (self.answer(
                        gateway.CheckAvailabilityResponseData, rows)[0], []))

    def authorize(self, charge_point=None, key=None):
        charge_point = charge_point or self.somewhere()
        request = gateway.AuthorizeRequestData(
            charge_point_client_id=charge_point,
            consumer_public_key=key or self.consumer())
        return Call("authorize", charge_point,
                    "SELECT evcharge.authorize(%s)", [request],
                    lambda rows: (self.answer(
                        gateway.AuthorizeResponseData, rows)[0], []))

    def start(self, charge_point=None, connector=None, key=None):
        """A start: of a new consumer, of a shared one, or once more."""
        once = key is not None
        if not once and self.mine and self.odds(0.6):
            charge_point, connector, key = self.random.choice(self.mine)
        charge_point = charge_point or self.somewhere()
        request = gateway.StartTransactionRequestData(
            charge_point_client_id=charge_point,
            connector_id=connector or self.random.choice(CONNECTORS),
            consumer_public_key=key or self.consumer())
        entries = []
        if once:
            entries = [("start", charge_point, key),
                       ("mine", (charge_point, connector, key))]
        elif key:
            entries = [("again", charge_point, key)]

        def read(rows):
            word, _ = self.answer(gateway.StartTransactionResponseData, rows)
            return word, entries if word == "granted" else []

        # the wall clock's time is one that expire() finds young
        at = self.tick() if self.odds(0.5) else None
        return Call("start_transaction", charge_point, """
            SELECT evcharge.start_transaction(%s, COALESCE(%s, now()), %s)""",
                    [request, at, self.random.choice([None, 100])], read)

    def stop(self):
        """A stop: of an own transaction, or of any."""
        if self.mine and self.odds(0.8):
            charge_point, connector, key = self.mine.pop(
                self.random.randrange(len(self.mine)))
        else:
            charge_point, connector, key = (
                self.somewhere(), self.random.choice(CONNECTORS),
                self.consumer())
        request = gateway.StopTransactionRequestData(
            charge_point_client_id=charge_point, connector_id=connector,
            consumer_public_key=key)

        def read(rows):
            word, message = self.answer(gateway.StopTransactionResponseData,
                                        rows)
            return word, ([("stop", charge_point, message.transaction_info.id)]
                          if word == "granted" else [])

        return Call("stop_transaction", charge_point,
                    "SELECT evcharge.stop_transaction(%s, %s, %s, %s)",
                    [request, self.tick(), self.random.choice([None, 5000]),
                     self.random.choice(["Remote", "EVDisconnected"])], read)

    # -- states, lists, operators -----------------------------------------

    def state(self):
        """Read a state, and see that its parts are of one moment."""
        charge_point = self.somewhere()

        def read(rows):
            if rows[0][0] is None:
                return "unknown", []
            state = gateway.ChargePointState.FromString(bytes(rows[0][0]))
            self.check_state(state)
            return None, [("state", state.SerializeToString())]

        return Call("charge_point_state", charge_point, """
            SELECT evcharge.encode(evcharge.charge_point_state(%s, 5))""",
                    [charge_point], read)

    def check_state(self, state):
        for number, connector in state.connectors.items():
            if connector.current_transaction:
                held = state.transactions.get(connector.current_transaction)
                if (held is None or held.end_time
                        or held.connector_id != number):
                    self.shared.complain("connector", number, "of", state)
        for number, held in state.transactions.items():
            if not held.end_time and held.connector_id > 0:
                connector = state.connectors.get(held.connector_id)
                if (connector is None
                        or connector.current_transaction != number):
                    self.shared.complain("transaction", number, "of", state)

    def open_transactions(self):
        charge_point = self.somewhere()
        return Call("transaction table", charge_point, """
            SELECT transaction_id, connector_id, id_tag
            FROM evcharge.transaction
            WHERE charge_point_id = %s AND ended_at IS NULL""",
                    [charge_point], lambda rows: (None, [("open", rows)]))

    def load(self):
        """Load a state that was read some time ago, somewhat changed."""
        charge_point = self.random.choice(LOADED)
        state = gateway.ChargePointState(id=charge_point, status="AVAILABLE")
        if charge_point in self.states:
            state.ParseFromString(self.states[charge_point])
        for number in CONNECTORS:
            state.connectors[number].id = number
            if self.odds(0.5):
                state.connectors[number].status = "AVAILABLE"
        for number, held in list(state.transactions.items()):
            if not held.end_time and self.odds(0.3):
                if self.odds(0.5):
                    held.end_time = text_of(self.tick())
                    held.end_meter = 7000
                else:
                    del state.transactions[number]
        for tag in list(state.auth_list):
            if self.odds(0.5):
                del state.auth_list[tag]
        if self.odds(0.5):
            state.current_auth_list_version += 1
        if self.odds(0.3):
            self.contradict(state)
        return self.report("load_state", charge_point, "load_state(%s)",
                           [state])

    def contradict(self, state):
        """Make a state one that contradicts itself or what is known."""
        number = self.random.randint(1, 400)
        tag = self.random.choice(list(SHARED.values()))
        held = state.transactions[number]
        held.connector_id = self.random.choice([0, *CONNECTORS, 3])
        held.id_tag = tag
        held.start_time = text_of(self.tick())
        held.end_time = text_of(self.tick()) if self.odds(0.5) else ""
        state.connectors[1].current_transaction = self.random.randint(-1, 400)
        state.auth_list[tag].transaction_id = self.random.choice(
            [0, number, 400])
        state.auth_list[tag].auth_data.idTagInfo.status = "Accepted"
        state.current_transaction_id = self.random.choice(
            [state.current_transaction_id, number, 2147483647])
        for held in state.transactions.values():
            if not held.end_time and self.odds(0.3):
                held.connector_id = self.random.choice(CONNECTORS)

    def registration(self):
        charge_point = self.somewhere()
        status = "Accepted" if self.odds(0.8) else self.random.choice(
            ["Pending", "Rejected"])
        return Call("set_registration", charge_point,
                    "SELECT evcharge.set_registration(%s, %s)",
                    [charge_point, status], wrong_value=True)

    def authorization(self):
        """Set the entry of a shared consumer; mostly it is Accepted."""
        charge_point = self.somewhere()
        key = self.consumer()
        data = gateway.ConsumerAuthData(public_key=key)
        data.auth_data.idTag = SHARED[key]
        if self.odds(0.9):
            info = data.auth_data.idTagInfo
            info.status = ("Accepted" if self.odds(0.8)
                           else self.random.choice(["Blocked", "Invalid"]))
            if self.odds(0.3):
                info.parentIdTag = "FAMILY"
            if self.odds(0.2):
                info.expiryDate = "2024-01-01T00:00:00Z"
        return Call("set_authorization", charge_point,
                    "SELECT evcharge.set_authorization(%s, %s)",
                    [charge_point, data], wrong_value=True)

    def forget(self, charge_point, key):
        """Take a consumer that got nothing off the list again."""
        return Call("set_authorization", charge_point,
                    "SELECT evcharge.set_authorization(%s, %s)",
                    [charge_point, gateway.ConsumerAuthData(public_key=key)],
                    wrong_value=True)

    def list_changes(self):
        charge_point = self.somewhere()
        return Call("auth_list_changes", charge_point, """
            SELECT update_type, list_version
            FROM evcharge.auth_list_changes(%s, %s)""",
                    [charge_point, self.random.randint(0, 300)],
                    wrong_value=True)

    def expire(self):
        charge_point = self.somewhere()
        return Call("expire", charge_point,
                    "SELECT reason FROM evcharge.expire(%s)", [charge_point],
                    lambda rows: ("something" if rows else "nothing", []),
                    wrong_value=True)

    def expire_all(self):
        return Call("expire", None,
                    "SELECT reason FROM evcharge.expire(NULL, %s)",
                    [self.random.randint(1, 9)],
                    lambda rows: ("something" if rows else "nothing", []))

    # -- the doors, the views, what is wrong ------------------------------

    def handle(self):
        charge_point = self.somewhere()
        message = self.log_message()
        return self.report("handle", charge_point,
                           "handle(%s, evcharge.decode('LogData', %s))",
                           [charge_point, message],
                           ("log", charge_point, message.resp.message))

    def handle_event(self):
        charge_point = self.somewhere()
        wire = self.boot_message().SerializeToString()
        # Event {event_id = 23, boot_notification_request_data = 17}
        event = b"\x08\x17\x8a\x01" + bytes([len(wire)]) + wire
        return self.report("handle_event", charge_point,
                           "handle_event(%s, %s)",
                           [charge_point, psycopg2.Binary(event)],
                           ("boot", charge_point))

    def view(self):
        return Call("views", None, "SELECT count(*) FROM evcharge."
                    + self.random.choice(VIEWS), [])

    def feed(self):
        return Call("events_since", None, """
            SELECT count(*) FROM evcharge.events_since(NULL, %s)""",
                    [self.random.randint(1, 50)])

    def malformed(self):
        charge_point = self.somewhere()
        function = self.random.choice(
            ["boot_notification(%s, %s)", "report_connector(%s, %s)",
             "report_transaction(%s, %s)", "report_log(%s, %s)",
             "set_authorization(%s, %s)", "load_state(%s, %s)",
             "start_transaction(%s, %s)", "handle_event(%s, %s)"])
        return Call("malformed bytes", charge_point,
                    f"SELECT evcharge.{function}",
                    [charge_point, psycopg2.Binary(b"\x0a\xff")],
                    error=MALFORMED)

    def wrong_value(self):
        charge_point = self.somewhere()
        request = gateway.StopTransactionRequestData(
            charge_point_client_id=charge_point, connector_id=1)
        sql, arguments = self.random.choice([
            ("stop_transaction(%s, now(), NULL, %s)", [request, "Boredom"]),
            ("stop_transaction(%s::text, %s)", ["CP-9", request]),
            ("load_state(%s)", [gateway.ChargePointState(
                id=charge_point, status="BROKEN")]),
            ("set_registration(%s, %s)", [charge_point, "Welcome"]),
            ("report_log(%s, '')", ["x" * 256]),
        ])
        return Call("wrong value", charge_point, f"SELECT evcharge.{sql}",
                    arguments, error=WRONG_VALUE)


class Reader:
    """Follows events_since() from the beginning, and loses nothing."""

    def __init__(self, shared):
        self.name = "reader"
        self.shared = shared
        self.seen = []

    def run(self):
        try:
            cursor = self.shared.connect().cursor()
            place = None
            rng = random.Random(f"{self.shared.options.seed}/reader")
            while True:
                last = self.shared.done.is_set()
                cursor.execute("""
                    SELECT charge_point_id, event_id, next_cursor
                    FROM evcharge.events_since(%s, %s)""",
                               [place, rng.choice([1, 7, 100, 1000])])
                rows = cursor.fetchall()
                self.seen += [row[:2] for row in rows]
                if rows:
                    place = rows[-1][2]
                elif last:
                    break
                else:
                    time.sleep(0.01)
        except Exception as error:
            self.shared.complain(self.name, repr(error))


class Listener:
    """Hears each event once, and none that was rolled back."""

    END = "evcharge_stress_ends"

    def __init__(self, shared):
        self.name = "listener"
        self.shared = shared
        self.heard = []
        self.connection = shared.connect()
        cursor = self.connection.cursor()
        for channel in ("evcharge_charge_point", "evcharge_connector",
                        "evcharge_transaction", "evcharge_auth", self.END):
            cursor.execute(f"LISTEN {channel}")

    def run(self):
        try:
            while True:
                select.select([self.connection], [], [])
                self.connection.poll()
                notifies, self.connection.notifies = \
                    self.connection.notifies, []
                for notify in notifies:
                    if notify.channel == self.END:
                        return
                    keys = json.loads(notify.payload)
                    self.heard.append((keys["charge_point_id"],
                                       keys["event_id"]))
        except Exception as error:
            self.shared.complain(self.name, repr(error))


class Auditor:
    """Sees at any moment that no rule is broken and no event is missing."""

    def __init__(self, shared):
        self.name = "auditor"
        self.shared = shared
        self.audits = 0

    def run(self):
        try:
            cursor = self.shared.connect().cursor()
            while not self.shared.done.wait(1):
                for question in ("SELECT * FROM evcharge.check_integrity()",
                                 GAPS):
                    cursor.execute(question)
                    for row in cursor.fetchall():
                        self.shared.complain("auditor:", row)
                self.audits += 1
        except Exception as error:
            self.shared.complain(self.name, repr(error))


def prepare(cursor):
    """Install the tables, and make the charge points that are known."""
    cursor.execute("SELECT evcharge.install()")
    for charge_point in KNOWN:
        cursor.execute("SELECT evcharge.heartbeat(%s)", [charge_point])
        for connector in CONNECTORS:
            cursor.execute(
                "SELECT evcharge.report_connector(%s, %s, %s)",
                [charge_point, *messages.parameters([gateway.ConnectorInfo(
                    id=connector, status="AVAILABLE")]), BASE])


def compare(shared, what, acknowledged, found):
    """Complain of what was acknowledged and not found, and of the reverse."""
    for name, missing in (("lost", acknowledged - found),
                          ("too much", found - acknowledged)):
        if missing:
            shared.complain(f"{what}: {sum(missing.values())} {name}:",
                            list(missing.items())[:5])


def settle(shared, cursor, workers, reader, listener):
    """Compare what callers and followers know with what the tables hold."""
    ledger = collections.Counter()
    for worker in workers:
        ledger.update(worker.ledger)

    def entries(kind):
        return collections.Counter({entry[1:]: count for entry, count
                                    in ledger.items() if entry[0] == kind})

    def rows(sql):
        cursor.execute(sql)
        return collections.Counter(cursor.fetchall())

    # a consumer that asks again has one transaction, unless that has ended
    started = rows("""SELECT charge_point_id, consumer_key
                      FROM evcharge.transaction
                      WHERE consumer_key LIKE 'once-%'""")
    compare(shared, "starts", entries("start"),
            started - (started - entries("start") & entries("again")))
    ended = rows("""SELECT charge_point_id, transaction_id
                    FROM evcharge.event WHERE kind = 'transaction_ended'""")
    for stop in set(entries("stop")) - set(ended):
        shared.complain("a stop that ended nothing:", stop)
    compare(shared, "logs", entries("log"),
            rows("SELECT charge_point_id, message FROM evcharge.gateway_log"))
    compare(shared, "samples", entries("sample"),
            rows("""SELECT charge_point_id, sampled_at
                    FROM evcharge.meter_sample"""))
    compare(shared, "boots", entries("boot"),
            rows("""SELECT charge_point_id FROM evcharge.event
                    WHERE kind = 'booted'"""))
    compare(shared, "registrations",
            collections.Counter((c,) for c in CHARGE_POINTS),
            rows("""SELECT charge_point_id FROM evcharge.event
                    WHERE kind = 'registered'"""))
    transactions = rows("""SELECT charge_point_id, transaction_id
                           FROM evcharge.transaction""")
    compare(shared, "events of a start", transactions,
            rows("""SELECT charge_point_id, transaction_id FROM evcharge.event
                    WHERE kind = 'transaction_started'"""))
    # where no state was loaded, which opens again without a word
    cursor.execute("""
        SELECT t.charge_point_id, t.transaction_id, t.ended_at,
            count(*) FILTER (WHERE e.kind = 'transaction_ended'),
            count(*) FILTER (WHERE e.kind = 'transaction_reopened')
        FROM evcharge.transaction t
            JOIN evcharge.event e USING (charge_point_id, transaction_id)
        WHERE NOT t.charge_point_id = ANY (%s)
        GROUP BY t.charge_point_id, t.transaction_id, t.ended_at
        HAVING count(*) FILTER (WHERE e.kind = 'transaction_ended')
            - count(*) FILTER (WHERE e.kind = 'transaction_reopened')
            <> (t.ended_at IS NOT NULL)::int""", [LOADED])
    for row in cursor.fetchall():
        shared.complain("ended more or less often than once:", row)

    events = rows("SELECT charge_point_id, event_id FROM evcharge.event")
    compare(shared, "events that were read", events,
            collections.Counter(reader.seen))
    compare(shared, "events that were heard", events,
            collections.Counter(listener.heard))
    cursor.execute(GAPS)
    for row in cursor.fetchall():
        shared.complain("gap in the events:", row)
    cursor.execute("SELECT * FROM evcharge.check_integrity()")
    for row in cursor.fetchall():
        shared.complain("check_integrity():", row)
    return {"events": len(events), "transactions": len(transactions)}


def counted(workers):
    """What the workers counted so far; they may be counting on."""
    counts = collections.Counter()
    for worker in workers:
        counts.update(worker.counts.copy())
    return counts


def wait(shared, workers, least):
    """Wait until the time is over and enough was done of everything."""
    begin = time.monotonic()
    limit = begin + 10 * shared.options.seconds + 60
    while time.monotonic() < limit and not shared.wrong:
        time.sleep(0.1)
        if time.monotonic() - begin < shared.options.seconds:
            continue
        counts = counted(workers)
        if all(counts[what] >= shared.options.least for what in least):
            break


def start(runners):
    """Run each in a thread of its own."""
    threads = [threading.Thread(target=runner.run, name=runner.name,
                                daemon=True) for runner in runners]
    for thread in threads:
        thread.start()
    return threads


def join(shared, threads):
    """Wait for threads, but not for ever."""
    for thread in threads:
        thread.join(120)
        if thread.is_alive():
            shared.complain(thread.name, "does not end")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="Fails if anything is lost, or an error is not documented.")
    parser.add_argument("--dsn", default="", help="of the database")
    parser.add_argument("--seconds", type=float, default=60, metavar="N")
    parser.add_argument("--seed", type=int, help="random without it")
    parser.add_argument("--least", type=int, default=20, metavar="N",
                        help="go on until each kind of call succeeded N times")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1000000)
    print(f"seed: {options.seed}", flush=True)

    shared = Shared(options)
    cursor = shared.connect().cursor()
    listener = Listener(shared)
    prepare(cursor)

    workers = [Worker(shared, number) for number in range(CLIENTS)]
    reader = Reader(shared)
    auditor = Auditor(shared)
    least = [f"calls {name}" for name in (
        "boot_notification", "heartbeat", "report_connector",
        "report_transaction", "report_progress", "report_log",
        "report_connector again", "report_transaction again",
        "report_progress again", "report_log again", "apply_batch",
        "check_availability granted", "authorize granted",
        "start_transaction granted", "start_transaction refused",
        "stop_transaction granted", "stop_transaction refused",
        "charge_point_state", "load_state", "set_registration",
        "set_authorization", "auth_list_changes", "handle", "handle_event",
        "views", "events_since", "expire something",
        f"malformed bytes: {MALFORMED}", f"wrong value: {WRONG_VALUE}")]
    least += ["transactions at READ COMMITTED", "transactions rolled back",
              "transactions at REPEATABLE READ",
              "transactions at SERIALIZABLE", "retried at REPEATABLE READ",
              "savepoints: RELEASE", "savepoints: ROLLBACK TO"]
    least += [f"acknowledged {what}" for what in (
        "start", "again", "stop", "log", "sample", "boot")]

    begin = time.monotonic()
    followers = start([listener, reader, auditor])
    callers = start(workers)
    wait(shared, workers, least)
    shared.stop.set()
    join(shared, callers)
    shared.done.set()
    cursor.execute(f"NOTIFY {Listener.END}")
    join(shared, followers)
    seconds = time.monotonic() - begin

    counts = counted(workers)
    totals = settle(shared, cursor, workers, reader, listener)
    for name in sorted(counts):
        print(f"{name}: {counts[name]}")
    for name, count in totals.items():
        print(f"{name}: {count}")
    calls = sum(count for name, count in counts.items()
                if name.startswith("calls "))
    print(f"audits: {auditor.audits}")
    print(f"{calls} calls in {seconds:.1f} s")
    for name in least if not shared.wrong else []:
        if counts[name] < options.least:
            shared.complain(f"{name}: {counts[name]}, fewer than",
                            options.least)
    for complaint in shared.wrong[:20]:
        print(f"-- {complaint}")
    print(f"wrong: {len(shared.wrong)}")
    return 1 if shared.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
