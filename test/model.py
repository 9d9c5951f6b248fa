#!/usr/bin/python3
"""Compare evcharge with a small model of it, over random stories.

A story is what a charge point that queues its messages, its consumers and its
operator do: a few dozen calls on a charge point of its own.  It is played
three times: as it is; with each call sent 1, 2 or 5 times in a row; and with
statuses, logs, boots and heartbeats overtaking the messages of transactions,
which stay in order among themselves and may be retried.  Seen to are

- the answers, and every table and view, in the middle and at the end: they are
  what the model says;
- that repetitions leave the state and the events as they were;
- that what overtook leaves the state as it was;
- that a charge point that applies auth_list_changes() has the server's list,
  whatever it missed;
- that check_integrity() finds nothing.

The model is plain Python on dictionaries, made from what README.md promises.
Where that is silent, a comment that begins with "Rule:" says what decides.

Story N of a seed is always the same, so that --only N shows it again.  Needs
databases with the extension and its tables, for this program alone: it empties
the tables.  Several of them share the work.
"""

import argparse
import collections
import copy
import datetime
import json
import multiprocessing
import pathlib
import random
import sys
import traceback
from decimal import ROUND_HALF_UP, Decimal

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent
                       / "examples"))

import messages  # noqa: E402

BATCH = 40

UTC = datetime.timezone.utc
MICROSECOND = datetime.timedelta(microseconds=1)
SECOND = datetime.timedelta(seconds=1)
HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)
YEAR = datetime.timedelta(days=366)

# Stories happen here, more than a year before they are played, so that no time
# of a story is near the time at which it is played.
STORY_TIME = datetime.datetime(2021, 3, 1, 6, tzinfo=UTC)

# What the model has for the time of a call: later than any time of a story,
# and each later than the one before.  Rows are compared with NOW for all.
CLOCK = datetime.datetime(9000, 1, 1, tzinfo=UTC)
NOW = "now"

# In what the model says of a column: some value, no matter which.
SET = "set"

MAX_INT = 2147483647


def is_now(moment):
    return moment is not None and moment.year == CLOCK.year


def now_or(moment):
    return NOW if is_now(moment) else moment


def read_time(text):
    """Read a time as it stands on the wire: None is none, False is odd."""
    if not text:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return moment.astimezone(UTC) if moment.tzinfo else False


def wire_time(moment):
    """A time as the server writes it."""
    if moment is None:
        return ""
    if is_now(moment):
        return NOW
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text.rstrip("0").rstrip(".") + "Z"


def fold(tag):
    """Id tags compare without case (OCPP CiString)."""
    return tag.lower() if tag else tag


# ---------------------------------------------------------------------------
# The statuses of a connector, OCPP 1.6 section 4.9
# ---------------------------------------------------------------------------

STATUSES = ["Available", "Preparing", "Charging", "SuspendedEV",
            "SuspendedEVSE", "Finishing", "Reserved", "Unavailable", "Faulted"]
SPELLINGS = {name.lower(): name for name in STATUSES}
SPELLINGS.update(suspended_ev="SuspendedEV", suspended_evse="SuspendedEVSE")

# From a status to others, in the order of the columns above.
ALLOWED = {
    "Available": "011110111",
    "Preparing": "101111001",
    "Charging": "100111011",
    "SuspendedEV": "101011011",
    "SuspendedEVSE": "101101011",
    "Finishing": "110000011",
    "Reserved": "110000011",
    "Unavailable": "111110001",
    "Faulted": "111111110",
}


def allowed(old, new):
    return ALLOWED[old][STATUSES.index(new)] == "1"


# ---------------------------------------------------------------------------
# The model
# ---------------------------------------------------------------------------

BOOT_FIELDS = ["charge_box_serial_number", "charge_point_model",
               "Charge_point_serial_number", "Charge_point_vendor",
               "firmware_version", "iccid", "imsi", "meter_serial_number",
               "meter_type"]

Event = collections.namedtuple(
    "Event", "kind connector transaction old new reason at fact")

Settings = collections.namedtuple(
    "Settings", "auto_register keep_authorization auth_list_history "
    "confirm_within max_transaction_duration")


class Refused(Exception):
    """An SQL error that is documented; its argument is the SQLSTATE."""


class Model:
    """One charge point, and what each call makes of it.

    Each call returns what its caller sees, as answer_of() reads it.
    """

    def __init__(self, settings):
        self.settings = settings
        self.ticks = 0
        self.random_tags = 0
        self.known = False
        self.events = []
        self.point = {}
        self.connectors = {}
        self.transactions = {}
        self.auth = {}              # by folded tag; removed entries stay
        self.samples = {}           # by transaction and time
        self.log_entries = []
        self.synced = {}            # version -> list that a charge point has

    def call(self, call):
        self.ticks += 1
        self.now = CLOCK + self.ticks * MICROSECOND
        try:
            return getattr(self, call.name)(**call.arguments)
        except Refused as refused:
            return ("error", refused.args[0])

    # -- events

    def event(self, kind, connector=None, transaction=None, old=None,
              new=None, at=None):
        self.events.append(Event(kind, connector, transaction, old, new, None,
                                 at or self.now, None))

    def anomaly(self, reason, connector=None, transaction=None, reported=None,
                at=None, fact=None, once=False):
        """What is odd is recorded once: "fact" is what its sentence says.

        Whenever it is reported, if it has no time of its own or so it is said.
        """
        for e in self.events:
            if (e.kind == "anomaly" and e[1:3] == (connector, transaction)
                    and (e.new, e.reason, e.fact) == (reported, reason, fact)
                    and (once or at is None or e.at == at)):
                return
        self.events.append(Event("anomaly", connector, transaction, None,
                                 reported, reason, at or self.now, fact))

    # -- charge point

    def register(self, registration):
        self.known = True
        self.point = dict(
            registration=registration, status=None, since=None, reported=None,
            boot=[None] * len(BOOT_FIELDS), version=0, kept_from=0,
            last_id=0, wrapped=False, registered=self.now, booted=None,
            seen=None)
        self.event("registered", new=registration)

    def touch(self, boot=False):
        """A report is a sign of life, also of one that nobody knows."""
        if not self.known:
            self.register("Accepted" if self.settings.auto_register
                          else "Pending")
            if not boot:
                self.anomaly("unknown_charge_point")
        self.point["seen"] = self.now

    def boot(self, **fields):
        self.touch(boot=True)
        self.point["boot"] = [fields.get(name) or None for name in BOOT_FIELDS]
        self.point["booted"] = self.now
        registration = self.point["registration"]
        self.event("booted", new=registration)
        return (registration != "Accepted", registration)

    def heartbeat(self):
        self.touch()

    def log(self, at, error, message):
        """A log entry counts once, unless it has no time of its own."""
        self.touch()
        moment = self.read_time("current_time", at)
        if moment and (moment, error, message) in [
                entry[1:4] for entry in self.log_entries]:
            return
        self.event("log", new="error" if error else None, at=moment)
        self.log_entries.append((len(self.events), moment or self.now, error,
                                 message))

    def read_time(self, field, text, connector=None, transaction=None):
        moment = read_time(text)
        if moment is False:
            self.anomaly("unreadable_time", connector, transaction, text,
                         fact=field)
            return None
        return moment

    def registration(self, status):
        if not self.known:
            raise Refused("OC005")
        if self.point["registration"] != status:
            self.event("registration_changed", old=self.point["registration"],
                       new=status)
            self.point["registration"] = status

    # -- statuses

    def status(self, connector, status, at, current=0):
        self.touch()
        name = SPELLINGS.get(status.lower())
        if connector < 0:
            self.anomaly("connector_id_invalid", connector, None, status, at)
        elif name is None:
            self.anomaly("unknown_status", connector or None, None, status, at)
        elif connector == 0:
            self.whole_status(name, at)
        else:
            self.connector_status(connector, name, at, current)

    def whole_status(self, status, at):
        row = self.point
        late = row["reported"] is not None and (at < row["reported"] or (
            at == row["reported"] and self.has_status(None, status, at)))
        # Rule: it stays in that status; only to enter it is odd.
        if (status not in ("Available", "Unavailable", "Faulted")
                and (late or status != row["status"])):
            self.anomaly("status_not_allowed", None, None, status, at)
        if late:
            self.late_status(None, status, at, row)
            return
        row["reported"] = at
        if row["status"] != status:
            self.event("charge_point_status", old=row["status"], new=status,
                       at=at)
            row.update(status=status, since=at)

    def ensure_connector(self, connector, at):
        if connector not in self.connectors:
            self.connectors[connector] = dict(
                status=None, since=None, reported=None, before_fault=None,
                transaction=None)
            self.event("connector_added", connector, at=at)
        return self.connectors[connector]

    def connector_status(self, connector, status, at, current):
        row = self.ensure_connector(connector, at)
        # Rule: of two with one time it is the second that stands, and the
        # first is known from its event when it is repeated.
        if row["reported"] is not None and (at < row["reported"] or (
                at == row["reported"]
                and self.has_status(connector, status, at))):
            self.late_status(connector, status, at, row)
            return
        row["reported"] = at
        old = row["status"]
        if status != old:
            self.event("connector_status", connector, old=old, new=status,
                       at=at)
            if old is not None and not allowed(old, status):
                self.anomaly("transition_not_allowed", connector, None,
                             status, at, fact=(old, status))
            row.update(status=status, since=at,
                       before_fault=old if status == "Faulted" else None)
        if current > 0 and row["transaction"] != current:
            self.anomaly("transaction_mismatch", connector, current, at=at,
                         fact="current")

    def has_status(self, connector, status, at):
        return any(e.kind in ("connector_status", "charge_point_status")
                   and e.connector == connector and e.at == at
                   and e.new == status for e in self.events)

    def late_status(self, connector, status, at, row):
        """It goes to history only, and once.

        Rule: the history ends in the status that the row has, so a late one
        between two reports of that status is followed by the second of them.
        """
        kind = "connector_status" if connector else "charge_point_status"
        if self.has_status(connector, status, at):
            return
        self.event(kind, connector, new=status, at=at)
        if row["status"] not in (None, status) and at >= row["since"]:
            self.event(kind, connector, old=status, new=row["status"],
                       at=row["reported"])

    # -- transactions, as the charge point reports them

    def open_on(self, connector, but=None):
        for row in self.open_ones():
            if row["connector"] == connector and row is not but:
                return row
        return None

    def open_ones(self):
        return [self.transactions[number]
                for number in sorted(self.transactions)
                if self.transactions[number]["ended"] is None]

    def transaction(self, id, tag, connector, start, end, start_meter=0,
                    end_meter=0, progress=None):
        self.touch()
        about = (connector if connector > 0 else None, id if id > 0 else None)
        started = self.read_time("start_time", start, *about)
        ended = self.read_time("end_time", end, *about)
        # Rule: an end whose time cannot be read has happened all the same.
        unreadable = bool(end) and ended is None
        if unreadable:
            ended = self.now
        row = self.find(id, tag, max(connector, 0), started, ended,
                        start_meter)
        if row is None:
            row = self.new(id, tag, connector, started, ended, start_meter,
                           end_meter, progress)
        else:
            if unreadable and row["ended"] is not None:
                ended = row["ended"]
            self.amend(row, tag, connector, started, ended, start_meter,
                       end_meter, progress)
        return row["id"]

    def find(self, id, tag, connector, started, ended, start_meter):
        """The transaction that a report is about.

        Rule: without an id it is the one that started on that connector at
        that time, or ended, if no start is said; else the open one, if it can
        be: of an end any, but with a start only one that the charge point has
        not confirmed yet; of a start one that was requested for the same tag
        and is not confirmed, or, said without a time, the same again. An end
        that names no connector ended at that time on any; else it is of the
        only open one that has its tag, and its start if the charge point has
        confirmed that.
        """
        if id > 0:
            return self.transactions.get(id)
        same = [row for _, row in sorted(self.transactions.items())
                if connector in (0, row["connector"])]
        if started is not None:
            matches = [row for row in same if row["started"] == started]
            match = matches[-1] if matches else None
        else:
            matches = [row for row in same
                       if ended is not None and row["ended"] == ended]
            match = max(matches, default=None, key=lambda row: (
                row["started"] or CLOCK, row["id"]))
        if match and (connector or not tag
                      or fold(tag) == fold(match["tag"] or "")):
            return match
        if ended is not None and not connector:
            matches = [row for row in self.open_ones()
                       if (not tag or fold(tag) == fold(row["tag"] or ""))
                       and (started is None or row["started"] == started
                            or row["confirmed"] is None)]
            return matches[0] if len(matches) == 1 else None
        row = self.open_on(connector)
        if row is None:
            return None
        unconfirmed = row["confirmed"] is None
        if ended is not None:
            fits = started is None or unconfirmed
        elif unconfirmed:
            fits = not tag or fold(tag) == fold(row["tag"] or "")
        else:
            fits = (started is None
                    and (not tag or fold(tag) == fold(row["tag"] or ""))
                    and start_meter in (0, row["start_meter"] or 0))
        return row if fits else None

    def take_id(self):
        """One above the last; after the largest, the lowest that is free."""
        wanted = self.point["last_id"] + 1
        if wanted > MAX_INT:
            self.point["wrapped"] = True
            wanted = 1
        while wanted in self.transactions:
            wanted = wanted % MAX_INT + 1
        self.point["last_id"] = wanted
        return wanted

    def follow_id(self, row):
        """A charge point that gives ids of its own moves the counter."""
        near = MAX_INT - 1000000
        if row["id"] > self.point["last_id"]:
            if row["id"] > near >= self.point["last_id"]:
                self.anomaly("transaction_id_near_limit", row["connector"],
                             row["id"], at=row["started"])
            self.point["last_id"] = row["id"]

    def new(self, id, tag, connector, started, ended, start_meter, end_meter,
            progress):
        """A transaction that nobody knew of is recorded as it is told."""
        row = dict(
            id=max(id, 0), connector=max(connector, 0), tag=tag or None,
            key=None, started=started or ended or self.now,
            start_meter=start_meter if started or start_meter else None,
            confirmed=self.now, ended=None, end_meter=None, reason=None,
            forced=False, progress=None, progress_at=None)
        if progress is not None:
            row.update(progress=progress, progress_at=ended or row["started"])
        at = row["started"]
        if id <= 0:
            self.anomaly("no_transaction_id", row["connector"] or None, None,
                         at=at)
        if connector > 0:
            self.ensure_connector(connector, at)
        else:
            self.anomaly("connector_id_invalid", None, row["id"] or None,
                         str(connector), at)
        if id <= 0:
            row["id"] = self.take_id()
        if ended is not None:
            row.update(ended=ended, end_meter=end_meter, reason="Local")
        else:
            self.make_room(row)
        entry = self.entry_of_start(row)
        self.transactions[row["id"]] = row
        if row["ended"] is None:
            self.tie(row, entry)
        self.follow_id(row)
        self.event("transaction_started", row["connector"], row["id"],
                   at=row["started"])
        if row["ended"] is not None:
            self.event("transaction_ended", row["connector"], row["id"],
                       new=row["reason"], at=row["ended"])
            self.check_reading(row)
        return row

    def tie(self, row, entry=None):
        if row["connector"] in self.connectors:
            self.connectors[row["connector"]]["transaction"] = row["id"]
        if entry is not None:
            entry["transaction"] = row["id"]

    def make_room(self, row):
        """Of two on one connector the older ended when the newer started."""
        other = self.open_on(row["connector"], but=row)
        if other is None:
            return
        began = [one["started"] for one in (row, other) if one["started"]]
        if other["started"] and (row["started"] is None
                                 or row["started"] < other["started"]):
            older, newer = row, other
            row.update(ended=other["started"], reason="Other", forced=True)
        else:
            older, newer = other, row
            self.end(other, max(began, default=self.now), None, "Other", True)
        self.anomaly("transaction_overlap", other["connector"],
                     older["id"], at=newer["started"],
                     fact=(older["id"], newer["id"]))

    def entry_of_start(self, row):
        """The entry of the tag, and to whom the transaction belongs."""
        entry = self.auth.get(fold(row["tag"]))
        if row["tag"] is None:
            return None
        if entry is None or not self.accepted(entry):
            self.anomaly("id_tag_not_authorized", row["connector"] or None,
                         row["id"], at=row["started"])
            return None
        row["key"] = entry["key"]
        return entry if entry["transaction"] is None else None

    def amend(self, row, tag, connector, started, ended, start_meter,
              end_meter, progress):
        """What a report says of a transaction that is known.

        An empty time is not said: a repeated start does not reopen what has
        ended, nor does an end forget the start.
        """
        was_open = row["ended"] is None
        forced = row["forced"]
        confirms = row["confirmed"] is None
        amended = False
        if started is not None:
            amended |= (row["started"], row["start_meter"]) != (started,
                                                                start_meter)
            row.update(started=started, start_meter=start_meter)
        elif confirms and ended is None and start_meter != 0:
            # Rule: or its repetition could not be known.
            row["start_meter"] = start_meter
            amended = True
        if connector > 0 and row["connector"] <= 0:
            self.learn_connector(row, connector)
            amended = True
        elif connector > 0 and connector != row["connector"]:
            self.anomaly("transaction_mismatch", row["connector"], row["id"],
                         str(connector), ended or started,
                         fact="connector", once=True)
        if tag:
            if row["tag"] is None:
                row["tag"] = tag
                amended = True
            elif fold(row["tag"]) != fold(tag):
                self.anomaly("id_tag_mismatch", row["connector"], row["id"],
                             at=ended or started, once=True)
        amended |= self.take_progress(row, progress, ended or started)
        if confirms:
            row["confirmed"] = self.now
        if ended is not None and was_open:
            if confirms:
                self.event("transaction_confirmed", row["connector"],
                           row["id"], at=row["started"])
            self.end(row, ended, end_meter, "Local", False)
            return
        if ended is not None:
            amended |= (row["ended"], row["end_meter"], row["forced"]) != (
                ended, end_meter, False)
            if row["forced"]:
                row["reason"] = "Local"
            row.update(ended=ended, end_meter=end_meter, forced=False)
        if not amended and not confirms:
            return
        if confirms and forced and ended is None:
            self.reopen(row)
        self.event("transaction_confirmed" if confirms
                   else "transaction_amended", row["connector"], row["id"],
                   at=ended or row["started"])
        if was_open and row["ended"] is not None:
            self.event("transaction_ended", row["connector"], row["id"],
                       new=row["reason"], at=row["ended"])
            self.free(row)
        if amended:
            self.check_reading(row)

    def reopen(self, row):
        """What was ended by force goes on after all, if it has room."""
        if row["connector"] <= 0:
            return
        self.ensure_connector(row["connector"], row["started"])
        if self.open_on(row["connector"]):
            return
        row.update(ended=None, end_meter=None, reason=None, forced=False)
        entry = self.auth.get(fold(row["tag"]))
        free = entry is not None and entry["transaction"] is None
        self.tie(row, entry if free else None)
        self.event("transaction_reopened", row["connector"], row["id"],
                   at=row["started"])

    def take_progress(self, row, progress, at):
        """The progress of a report, unless a newer one is known."""
        if progress is None or (row["progress_at"] is not None and (
                at is None or at < row["progress_at"])):
            return False
        if (row["progress"], row["progress_at"]) == (progress, at):
            return False
        row.update(progress=progress, progress_at=at)
        return True

    def learn_connector(self, row, connector):
        """OCPP's StopTransaction has no connector; now it is said."""
        self.ensure_connector(connector, row["started"])
        row["connector"] = connector
        if row["ended"] is None:
            self.make_room(row)
            if row["ended"] is None:
                self.tie(row)

    def free(self, row):
        """Free what was tied to a transaction; its tag leaves the list."""
        connector = self.connectors.get(row["connector"])
        if connector is not None and connector["transaction"] == row["id"]:
            connector["transaction"] = None
        entry = self.auth.get(fold(row["tag"]))
        if entry is not None and entry["transaction"] == row["id"]:
            entry["transaction"] = None
            self.forget(entry)
            if (entry["removed"] is None
                    and not self.settings.keep_authorization):
                self.remove_entry(entry)

    def end(self, row, ended, end_meter, reason, forced):
        row.update(ended=ended, end_meter=end_meter, reason=reason,
                   forced=forced)
        self.event("transaction_ended", row["connector"], row["id"],
                   new=reason, at=ended)
        self.free(row)
        self.check_reading(row)

    def check_reading(self, row):
        if row["ended"] is None:
            return
        about = (row["connector"], row["id"])
        start, end = row["start_meter"], row["end_meter"]
        if row["started"] is not None and row["ended"] < row["started"]:
            self.anomaly("time_backwards", *about, wire_time(row["ended"]),
                         row["ended"], fact=row["started"])
        if start is None or end is None:
            return
        if end < start:
            self.anomaly("meter_backwards", *about, str(end), row["ended"],
                         fact=(start, end))
        elif end == start:
            self.anomaly("no_energy", *about, str(end), row["ended"])

    def progress(self, id, values, at):
        self.touch()
        if id is not None and id > 0:
            row = self.transactions.get(id)
        else:
            ones = self.open_ones()
            row = ones[0] if len(ones) == 1 else None
        number = row["id"] if row else max(id or 0, 0)
        self.samples[number, at] = values
        if row is None:
            self.anomaly("unknown_transaction", None,
                         id if id and id > 0 else None, str(id or 0), at)
        elif row["ended"] is not None and at > row["ended"]:
            self.anomaly("transaction_closed", row["connector"], row["id"],
                         at=at, once=True)
        elif self.take_progress(row, values, at):
            self.event("transaction_progress", row["connector"], row["id"],
                       new="%g%s, %g%s" % (
                           values[0], values[1] and " " + values[1],
                           values[2], values[3] and " " + values[3]), at=at)

    # -- the authorization list

    def accepted(self, entry):
        return (entry["removed"] is None and entry["status"] == "Accepted"
                and (entry["expires"] is None or entry["expires"] > self.now))

    def coming_version(self):
        """Each change of the list is a version; after the largest comes 1."""
        return self.point["version"] % MAX_INT + 1

    def next_version(self):
        """Make it the newest, and forget entries that left the list.

        Rule: not each time, but when a quarter more than what is promised is
        there; and with all that was known of them.  What is in use stays.
        """
        point, history = self.point, self.settings.auth_list_history
        version = self.coming_version()
        if version < point["version"]:
            # as if the list were new
            point["kept_from"] = version
            self.synced.clear()
            for entry in self.auth.values():
                entry["version"] = version
        elif version - point["kept_from"] > history + history // 4:
            point["kept_from"] = version - history
        point["version"] = version
        for entry in list(self.auth.values()):
            self.forget(entry)
        return version

    def forget(self, entry):
        if (entry["removed"] is not None and entry["transaction"] is None
                and entry["version"] <= self.point["kept_from"]):
            del self.auth[fold(entry["tag"])]

    def new_tag(self):
        self.random_tags += 1
        return f"RANDOM{self.random_tags:014d}"

    def add_entry(self, tag, key, status, expires=None, parent=None):
        """A tag that was on the list is the same tag, however it is spelled;
        it may have left the list in the middle of its transaction."""
        version = self.next_version()
        before = self.auth.get(fold(tag))
        self.auth[fold(tag)] = dict(
            tag=tag, key=key, status=status, expires=expires, parent=parent,
            transaction=before["transaction"] if before else None,
            version=version, removed=None)
        self.event("auth_added", None, self.auth[fold(tag)]["transaction"],
                   new=status)

    def change_entry(self, entry, **values):
        old = entry["status"]
        entry.update(values, version=self.next_version())
        self.event("auth_changed", None, entry["transaction"], old,
                   entry["status"])

    def remove_entry(self, entry):
        entry.update(version=self.coming_version(), removed=self.now)
        self.next_version()
        self.event("auth_removed", old=entry["status"])

    def entries_of(self, key):
        """The live entries of a consumer, the one changed last first."""
        return sorted((entry for entry in self.auth.values()
                       if entry["key"] == key and entry["removed"] is None),
                      key=lambda entry: (-entry["version"], entry["tag"]))

    def live(self):
        """The list as a charge point is to have it.

        An entry without any idTagInfo authorizes nothing, and is none.
        """
        return {tag: (entry["tag"], entry["status"] or "",
                      wire_time(entry["expires"]), entry["parent"] or "")
                for tag, entry in self.auth.items()
                if entry["removed"] is None
                and (entry["status"] or entry["expires"] or entry["parent"])}

    def authorization(self, key, tag, info):
        """set_authorization: info is status, expiry and parent, or None."""
        if not self.known:
            raise Refused("OC005")
        entries = self.entries_of(key)
        if tag:
            entry = self.auth.get(fold(tag))
            entries = [entry] if entry and entry["removed"] is None else []
        if info is None:
            for entry in entries:
                self.remove_entry(entry)
            return
        status, expires, parent = info
        expires = read_time(expires)
        # Rule: one that came without a status needs one, like a new one.
        if not status and not all(entry["status"] for entry in entries):
            raise Refused("OC005")
        for entry in entries:
            values = dict(status=status or entry["status"], expires=expires,
                          parent=parent or None, key=key or entry["key"])
            if any(entry[name] != value for name, value in values.items()):
                self.change_entry(entry, **values)
        if not entries:
            if not status:
                raise Refused("OC005")
            self.add_entry(tag or self.new_tag(), key or None, status,
                           expires, parent or None)

    def sync(self, since):
        """A charge point that has the list of a version asks for the newest.

        Returns what it has, and what it is to have then.
        """
        if not self.known:
            raise Refused("OC005")
        if since not in self.synced:
            since = 0
        has = self.synced.get(since, {})
        self.synced[self.point["version"]] = self.live()
        return since, has, self.point["version"], self.live()

    def expire(self):
        """What dangles is ended; returns what.

        Stories happen years before they are played, but are confirmed now.
        """
        if not self.known:
            raise Refused("OC005")
        ended = []
        for row in self.open_ones():
            if row["confirmed"] is not None or row["started"] is None:
                continue
            if self.settings.confirm_within != "0":
                reason = "not_confirmed"
            elif self.settings.max_transaction_duration != "0":
                reason = "open_too_long"
            else:
                continue
            self.end(row, self.now, None, "Other", True)
            self.anomaly(reason, row["connector"], row["id"],
                         at=row["started"])
            ended.append([row["connector"], row["id"], reason])
        for entry in self.past_expiry():
            self.change_entry(entry, status="Expired")
            ended.append([None, None, "expired"])
        return ended

    def past_expiry(self):
        return sorted((entry for entry in self.auth.values()
                       if entry["removed"] is None
                       and entry["status"] == "Accepted"
                       and not self.accepted(entry)),
                      key=lambda entry: entry["tag"])

    # -- requests

    def refuse_point(self):
        """Rule: it is seen, unless only an operator's load made it."""
        return (self.point["registration"] != "Accepted"
                or self.point["seen"] is None
                or self.point["status"] in ("Unavailable", "Faulted"))

    def refuse_connector(self, connector):
        row = self.connectors.get(connector)
        return (row is None or row["transaction"] is not None
                or row["status"] not in ("Available", "Preparing"))

    def authorize(self, key):
        """Returns whether it is refused, as all requests do."""
        if not self.known or self.point["registration"] != "Accepted":
            return True
        if not key:
            return True
        entries = self.entries_of(key)
        if any(entry["status"] == "Blocked" for entry in entries):
            return True
        if any(self.accepted(entry) for entry in entries):
            return False
        if entries:
            # Rule: one that no longer authorizes is renewed.
            self.change_entry(entries[0], status="Accepted", expires=None)
        else:
            self.add_entry(self.new_tag(), key, "Accepted")
        return False

    def availability(self, connector):
        return (not self.known or self.refuse_point()
                or self.refuse_connector(connector))

    def start(self, connector, key, at, meter=None):
        if not self.known or connector not in self.connectors:
            return True
        current = self.connectors[connector]["transaction"]
        if current and self.transactions[current]["key"] == key:
            return False
        if self.refuse_point() or self.refuse_connector(connector):
            return True
        entries = self.entries_of(key)
        if any(entry["status"] == "Blocked" for entry in entries):
            return True
        free = [entry for entry in entries
                if self.accepted(entry) and entry["transaction"] is None]
        if not free:
            return True
        number = self.take_id()
        row = dict(id=number, connector=connector, tag=free[0]["tag"],
                   key=key, started=at, start_meter=meter, confirmed=None,
                   ended=None, end_meter=None, reason=None, forced=False,
                   progress=None, progress_at=None)
        self.transactions[number] = row
        self.tie(row, free[0])
        self.event("transaction_started", connector, number, at=at)
        return False

    def may_stop(self, key, row):
        """Its owner may, and who holds a tag with the same parent."""
        if row["key"] == key:
            return True
        its = self.auth.get(fold(row["tag"]))
        return (its is not None and its["parent"] is not None
                and any(fold(entry["parent"]) == fold(its["parent"])
                        for entry in self.entries_of(key)
                        if self.accepted(entry)))

    def stop(self, connector, key, at, meter=None, reason="Remote"):
        """Returns the transaction too."""
        if not self.known or connector not in self.connectors:
            return True, None
        current = self.connectors[connector]["transaction"]
        if current:
            row = self.transactions[current]
            if not self.may_stop(key, row):
                return True, None
            self.end(row, at, meter, reason, False)
            return False, self.info(row)
        ones = [row for row in self.transactions.values()
                if row["connector"] == connector and row["started"]]
        row = max(ones, key=lambda row: (row["started"], row["id"]),
                  default=None)
        if row is None or not self.may_stop(key, row):
            return True, None
        return False, self.info(row)

    # -- whole states

    def info(self, row):
        """A transaction as the wire knows it."""
        return dict(
            id=row["id"], tag=row["tag"] or "", connector=row["connector"],
            start=wire_time(row["started"]), end=wire_time(row["ended"]),
            start_meter=row["start_meter"] or 0,
            end_meter=row["end_meter"] or 0, progress=row["progress"])

    def state(self):
        return dict(
            status=(self.point["status"] or "").upper(),
            connectors={n: ((row["status"] or "").upper(),
                            row["transaction"] or 0)
                        for n, row in self.connectors.items()},
            transactions={n: self.info(row)
                          for n, row in self.transactions.items()},
            auth={entry["tag"]: (entry["key"] or "",
                                 entry["transaction"] or 0,
                                 (entry["status"] or "",
                                  wire_time(entry["expires"]),
                                  entry["parent"] or "")
                                 if entry["status"] or entry["expires"]
                                 or entry["parent"] else None)
                  for entry in self.auth.values()
                  if entry["removed"] is None},
            version=self.point["version"], last_id=self.point["last_id"])

    def load(self, state):
        """What the state has is set, what it lacks of connectors and entries
        goes, transactions are added or amended, never deleted."""
        if not self.known:
            self.register("Accepted")
        before = (len(self.events), self.point["version"],
                  self.point["last_id"])
        point = self.point
        status = SPELLINGS.get(state["status"].lower())
        if status != point["status"]:
            self.event("charge_point_status", old=point["status"], new=status)
            point.update(status=status, since=self.now, reported=self.now)
        chosen = self.chosen(state)
        self.load_connectors(state, chosen)
        self.load_transactions(state, chosen)
        for connector, row in sorted(self.connectors.items()):
            current = self.open_on(connector)
            row["transaction"] = current["id"] if current else None
            claimed = state["connectors"].get(connector, ("", 0))[1]
            if claimed > 0 and claimed != row["transaction"]:
                self.anomaly("transaction_mismatch", connector, claimed,
                             fact="loaded current")
        self.load_auth(state)
        last = state["last_id"]
        if last < max([point["last_id"], *state["transactions"]]):
            point["wrapped"] = True
        point["last_id"] = last
        if before != (len(self.events), point["version"], last):
            self.event("state_loaded")

    def chosen(self, state):
        """Of several open ones on a connector, an old state's dirt, the one
        that the connector names, or else the newest."""
        chosen = {}
        for number, info in sorted(state["transactions"].items()):
            if not info["end"]:
                chosen[info["connector"]] = number
        for connector, (_, current) in state["connectors"].items():
            named = state["transactions"].get(current)
            if named and not named["end"] and named["connector"] == connector:
                chosen[connector] = current
        return chosen

    def load_connectors(self, state, chosen):
        for connector, (text, _) in sorted(state["connectors"].items()):
            status = SPELLINGS.get(text.lower())
            known = connector in self.connectors
            row = self.ensure_connector(connector, None)
            old = row["status"]
            if status != old:
                row.update(status=status, since=self.now, reported=self.now,
                           before_fault=old if status == "Faulted" else None)
                self.event("connector_status", connector,
                           old=old if known else None, new=status)
        for connector in sorted(self.connectors):
            if connector not in state["connectors"] and (
                    connector not in chosen):
                row = self.connectors.pop(connector)
                self.event("connector_removed", connector, old=row["status"])

    def load_transactions(self, state, chosen):
        loaded = state["transactions"]
        for row in self.open_ones():
            info = loaded.get(row["id"])
            if info and (info["end"]
                         or chosen[info["connector"]] == row["id"]):
                continue
            self.end(row, self.now, None, "Other", True)
            self.anomaly("forced_end", row["connector"], row["id"])
        for number in sorted(loaded,
                             key=lambda n: (not loaded[n]["end"], n)):
            info = loaded[number]
            if not info["end"] and info["connector"] > 0:
                self.ensure_connector(info["connector"], None)
            self.load_transaction(state, number, info,
                                  chosen.get(info["connector"]) == number)

    def load_transaction(self, state, number, info, is_chosen):
        known = number in self.transactions
        was = dict(self.transactions.get(number) or dict(
            id=number, connector=0, tag=None, key=None, started=None,
            start_meter=None, confirmed=self.now, ended=None, end_meter=None,
            reason=None, forced=False, progress=None, progress_at=None))
        row = dict(was, connector=info["connector"], tag=info["tag"] or None,
                   started=read_time(info["start"]),
                   start_meter=info["start_meter"])
        forced = not info["end"] and not is_chosen
        if forced and known and was["ended"] is not None:
            return
        if row["key"] is None and row["tag"] is not None:
            for tag, (key, _, _) in state["auth"].items():
                if fold(tag) == fold(row["tag"]):
                    row["key"] = key or None
        if forced:
            row.update(ended=self.now, end_meter=None, reason="Other",
                       forced=True)
        elif not info["end"]:
            row.update(ended=None, end_meter=info["end_meter"] or None,
                       reason=None, forced=False)
        else:
            row.update(ended=read_time(info["end"]),
                       end_meter=info["end_meter"],
                       reason=was["reason"] or "Local")
            row["forced"] = was["forced"] and was["ended"] == row["ended"]
        row["progress"] = info["progress"]
        if info["progress"] is None:
            row["progress_at"] = None

        def told(row):
            return dict(row, start_meter=row["start_meter"] or 0,
                        end_meter=row["end_meter"] or 0, reason=None,
                        forced=None)

        if known and told(row) == told(was):
            return
        entry = self.auth.get(fold(was["tag"]))
        if (known and entry and entry["transaction"] == number
                and fold(row["tag"]) != fold(was["tag"])):
            entry["transaction"] = None
            self.forget(entry)
        ends = row["ended"] is not None and was["ended"] is None
        self.transactions[number] = row
        if not known:
            self.event("transaction_started", row["connector"], number,
                       at=row["started"])
        if ends:
            self.event("transaction_ended", row["connector"], number,
                       new=row["reason"], at=row["ended"])
            if known:
                self.free(row)
        elif known:
            self.event("transaction_amended", row["connector"], number)
        if forced:
            self.anomaly("transaction_overlap", row["connector"], number,
                         fact="loaded")
        self.check_reading(row)

    def load_auth(self, state):
        events = len(self.events)
        same_version = self.point["version"] == state["version"]
        self.point["version"] = state["version"]
        for tag, (key, number, info) in sorted(
                state["auth"].items(), key=lambda item: fold(item[0])):
            was = self.auth.get(fold(tag))
            live = was is not None and was["removed"] is None
            status, expires, parent = info or ("", "", "")
            user = self.transactions.get(number)
            if number > 0 and (user is None or user["ended"] is not None
                               or fold(user["tag"]) != fold(tag)):
                self.anomaly("transaction_mismatch", None, number,
                             fact="loaded entry")
                number = 0
            entry = dict(tag=tag, key=key or None, status=status or None,
                         expires=read_time(expires), parent=parent or None,
                         transaction=number if number > 0 else None,
                         version=state["version"], removed=None)
            if live and all(entry[name] == was[name] for name in entry
                            if name != "version"):
                continue
            self.auth[fold(tag)] = entry
            self.event("auth_changed" if live else "auth_added", None,
                       entry["transaction"], was["status"] if live else None,
                       entry["status"])
        kept = {fold(tag) for tag in state["auth"]}
        for tag, entry in sorted(self.auth.items(),
                                 key=lambda item: item[1]["tag"]):
            if entry["removed"] is None and tag not in kept:
                entry.update(removed=self.now, version=state["version"])
                self.event("auth_removed", old=entry["status"])
        if len(self.events) == events and same_version:
            return
        if not same_version:
            for entry in self.auth.values():
                entry["version"] = state["version"]
        # From now on every other version gets the whole list.  Rule: of a
        # version that is given a second time, here to another list, nobody
        # can say which list a charge point has: it begins anew.
        self.point["kept_from"] = state["version"]
        if state["version"] <= max(self.synced, default=0):
            self.synced.clear()
        for entry in list(self.auth.values()):
            self.forget(entry)

# ---------------------------------------------------------------------------
# What the tables and views have of a charge point
# ---------------------------------------------------------------------------

# Each relation with the columns that are compared, of which "?" only tells
# whether there is a value, because it depends on the clock or is a sentence.
COLUMNS = {
    "charge_point": "registration status status_since status_reported_at "
    "charge_box_serial_number charge_point_model charge_point_serial_number "
    "charge_point_vendor firmware_version iccid imsi meter_serial_number "
    "meter_type auth_list_version auth_list_kept_from last_transaction_id "
    "transaction_ids_wrapped last_event_id registered_at booted_at "
    "last_seen_at",
    "connector": "connector_id status status_since reported_at "
    "status_before_fault transaction_id",
    "transaction": "transaction_id connector_id id_tag consumer_key "
    "started_at start_meter confirmed_at ended_at end_meter stop_reason "
    "forced current_offered current_unit voltage_offered voltage_unit "
    "progress_at",
    "auth": "id_tag consumer_key transaction_id status expires_at "
    "parent_id_tag list_version removed_at",
    "event": "event_id kind connector_id transaction_id old_value new_value "
    "reason detail? occurred_at recorded_at",
    "meter_sample": "transaction_id sampled_at current_offered current_unit "
    "voltage_offered voltage_unit",
    "gateway_log": "event_id logged_at is_error message recorded_at",
    "charge_point_overview": "registration status status_since connection "
    "vendor model serial_number firmware_version connectors "
    "connectors_available connectors_occupied connectors_unavailable "
    "connectors_faulted connectors_offline connectors_unknown "
    "open_transactions auth_entries auth_list_version last_transaction_id "
    "last_event_id registered_at booted_at last_seen_at",
    "connector_overview": "connector_id status status_since availability "
    "transaction_id started_at current_offered voltage_offered power_kw "
    "last_seen_at",
    "active_transaction": "transaction_id connector_id started_at "
    "duration_seconds? start_meter confirmed_at current_offered "
    "voltage_offered power_kw progress_at",
    "transaction_history": "transaction_id connector_id started_at ended_at "
    "duration_seconds start_meter end_meter energy_kwh confirmed_at "
    "stop_reason forced",
    "progress_history": "transaction_id connector_id sampled_at "
    "current_offered voltage_offered power_kw",
    "auth_overview": "id_tag parent_id_tag consumer_key status expires_at "
    "transaction_id connector_id started_at list_version",
    "energy_hourly": "hour connector_id energy_wh energy_kwh transactions",
    "energy_daily": "day connector_id energy_wh energy_kwh transactions",
    "connector_timeline": "connector_id status started_at ended_at "
    "duration_seconds event_id",
    "connector_utilization": "day connector_id sessions occupied_seconds "
    "occupied_hours utilization_percent energy_kwh",
    "anomaly": "event_id connector_id transaction_id reason detail? reported "
    "occurred_at recorded_at",
}
COLUMNS = {name: columns.split() for name, columns in COLUMNS.items()}
STATE_TABLES = ["charge_point", "connector", "transaction", "auth",
                "meter_sample"]
HEALTH = ("charge_points charge_points_online charge_points_offline "
          "charge_points_pending connectors connectors_available "
          "connectors_occupied connectors_unavailable connectors_faulted "
          "connectors_offline connectors_unknown open_transactions "
          "unconfirmed_transactions events_24h anomalies_24h").split()


def seconds(span):
    """Whole seconds, as a cast rounds them."""
    return (span // (SECOND / 2) + 1) // 2


def rounded(number, digits):
    return number.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def offered(progress):
    """Amperes, volts and kW, where the units are those."""
    if progress is None:
        return None, None, None
    current, current_unit, voltage, voltage_unit = progress
    amperes = volts = power = None
    if current_unit.lower() in ("a", ""):
        amperes = Decimal("%g" % current)
    if voltage_unit.lower() in ("v", ""):
        volts = Decimal("%g" % voltage)
    if amperes is not None and volts is not None:
        power = amperes * volts / 1000
    return amperes, volts, power


class View:
    """The rows of each relation, as the model has them."""

    def __init__(self, model, history=True):
        self.model = model
        self.rows = {name: [] for name in COLUMNS}
        if model.known:
            self.charge_point()
            self.transactions()
            self.lists()
        if model.known and history:
            self.history()
            self.energy()
        for rows in self.rows.values():
            rows.sort(key=repr)

    def put(self, relation, *values):
        self.rows[relation].append(tuple(now_or(value) if isinstance(
            value, datetime.datetime) else value for value in values))

    def availability(self, row):
        """What a driver finds."""
        point = self.model.point
        if point["seen"] is None:
            return "offline"
        if "Faulted" in (row["status"], point["status"]):
            return "faulted"
        if ("Unavailable" in (row["status"], point["status"])
                or point["registration"] != "Accepted"):
            return "unavailable"
        if row["transaction"] is not None:
            return "occupied"
        if row["status"] in ("Available", "Preparing"):
            return "available"
        return "unknown" if row["status"] is None else "occupied"

    def charge_point(self):
        model, point = self.model, self.model.point
        boot = point["boot"]
        self.put("charge_point", point["registration"], point["status"],
                 point["since"], point["reported"], *boot, point["version"],
                 point["kept_from"], point["last_id"], point["wrapped"],
                 len(model.events), point["registered"], point["booted"],
                 point["seen"])
        found = collections.Counter()
        for number, row in model.connectors.items():
            self.put("connector", number, row["status"], row["since"],
                     row["reported"], row["before_fault"], row["transaction"])
            availability = self.availability(row)
            found[availability] += 1
            current = model.transactions.get(row["transaction"], {})
            self.put("connector_overview", number, row["status"],
                     row["since"], availability, row["transaction"],
                     current.get("started"), *offered(current.get("progress")),
                     point["seen"])
        counts = [len(model.connectors)] + [found[name] for name in (
            "available", "occupied", "unavailable", "faulted", "offline",
            "unknown")]
        ones = model.open_ones()
        online = point["seen"] is not None
        self.put("charge_point_overview", point["registration"],
                 point["status"], point["since"],
                 "online" if online else "offline", boot[3], boot[1], boot[2],
                 boot[4], *counts, len(ones),
                 sum(entry["removed"] is None
                     for entry in model.auth.values()),
                 point["version"], point["last_id"], len(model.events),
                 point["registered"], point["booted"], point["seen"])
        self.health = [1, online, not online,
                       point["registration"] == "Pending", *counts, len(ones),
                       sum(row["confirmed"] is None for row in ones),
                       len(model.events),
                       sum(e.kind == "anomaly" for e in model.events)]

    def transactions(self):
        for row in self.model.transactions.values():
            self.put("transaction", row["id"], row["connector"], row["tag"],
                     row["key"], row["started"], row["start_meter"],
                     row["confirmed"], row["ended"], row["end_meter"],
                     row["reason"], row["forced"],
                     *(row["progress"] or (None,) * 4), row["progress_at"])
            if row["ended"] is None:
                self.put("active_transaction", row["id"], row["connector"],
                         row["started"], row["started"] and SET,
                         row["start_meter"], row["confirmed"],
                         *offered(row["progress"]), row["progress_at"])
                continue
            duration = None
            if is_now(row["started"]) or is_now(row["ended"]):
                duration = row["started"] and SET
            elif row["started"] is not None:
                duration = max(seconds(row["ended"] - row["started"]), 0)
            self.put("transaction_history", row["id"], row["connector"],
                     row["started"], row["ended"], duration,
                     row["start_meter"], row["end_meter"], self.energy_of(row),
                     row["confirmed"], row["reason"], int(row["forced"]))
        for (number, at), values in self.model.samples.items():
            self.put("meter_sample", number, at, *values)
            row = self.model.transactions.get(number, {})
            self.put("progress_history", number, row.get("connector"), at,
                     *offered(values))

    @staticmethod
    def energy_of(row):
        if row["start_meter"] is None or row["end_meter"] is None:
            return None
        return Decimal(max(row["end_meter"] - row["start_meter"], 0)) / 1000

    def lists(self):
        for entry in self.model.auth.values():
            self.put("auth", entry["tag"], entry["key"], entry["transaction"],
                     entry["status"], entry["expires"], entry["parent"],
                     entry["version"], entry["removed"])
            if entry["removed"] is not None:
                continue
            status = entry["status"]
            if status == "Accepted" and not self.model.accepted(entry):
                status = "Expired"
            row = self.model.transactions.get(entry["transaction"], {})
            self.put("auth_overview", entry["tag"], entry["parent"],
                     entry["key"], status, entry["expires"],
                     entry["transaction"], row.get("connector"),
                     row.get("started"), entry["version"])
        for number, at, error, message in self.model.log_entries:
            self.put("gateway_log", number, at, error, message, CLOCK)

    def history(self):
        statuses = collections.defaultdict(list)
        for number, e in enumerate(self.model.events, 1):
            detail = SET if e.kind == "anomaly" else None
            self.put("event", number, e.kind, e.connector, e.transaction,
                     e.old, e.new, e.reason, detail, e.at, CLOCK)
            if e.kind == "anomaly":
                self.put("anomaly", number, e.connector, e.transaction,
                         e.reason, detail, e.new, e.at, CLOCK)
            if e.kind in ("connector_status", "connector_removed"):
                statuses[e.connector].append((e.at, number, e.new))
        for connector, changes in statuses.items():
            stretches = []
            for at, number, status in sorted(changes, key=lambda c: c[:2]):
                if status != (stretches[-1][2] if stretches else None):
                    stretches.append((at, number, status))
            for this, after in zip(stretches, stretches[1:] + [None]):
                if this[2] is None:
                    continue
                ended = after[0] if after else None
                duration = SET
                if ended is not None and not is_now(ended):
                    duration = seconds(ended - this[0])
                self.put("connector_timeline", connector, this[2], this[0],
                         ended, duration, this[1])

    def energy(self):
        """Each session spread over its hours and days, in whole Wh.

        Not the sessions that end when the story is played.
        """
        days = collections.defaultdict(list)
        energy = {"energy_hourly": {}, "energy_daily": {}}
        for row in self.model.transactions.values():
            end = row["ended"]
            if end is None or is_now(end):
                continue
            start = row["started"]
            if start is None or not start < end <= start + YEAR:
                start = end
            wh = int((self.energy_of(row) or 0) * 1000)
            for relation, step in (("energy_hourly", HOUR),
                                   ("energy_daily", DAY)):
                at = start.replace(minute=0, second=0, microsecond=0)
                if step == DAY:
                    at = at.replace(hour=0)
                until = max(start, end - MICROSECOND)
                given = 0
                while at <= until:
                    upto = wh if at + step >= end else (
                        wh * ((at + step - start) // MICROSECOND)
                        // ((end - start) // MICROSECOND) if wh else 0)
                    key = at, row["connector"]
                    sums = energy[relation].setdefault(key, [0, 0])
                    sums[0] += upto - given
                    sums[1] += 1
                    given = upto
                    if step == DAY and row["connector"] > 0:
                        days[key].append((max(start, at),
                                          min(end, at + DAY)))
                    at += step
        for relation, all_sums in energy.items():
            for (at, connector), (wh, count) in all_sums.items():
                self.put(relation, at, connector, wh, Decimal(wh) / 1000,
                         count)
        for (day, connector), spans in days.items():
            used = datetime.timedelta()
            covered = day
            for start, end in sorted(spans):
                used += max(end - max(start, covered), datetime.timedelta())
                covered = max(covered, end)
            used = Decimal(used // SECOND) + Decimal(
                used.microseconds) / 1000000
            self.put("connector_utilization", day, connector, len(spans),
                     int(rounded(used, 0)), rounded(used / 3600, 3),
                     rounded(used / 864, 2),
                     Decimal(energy["energy_daily"][day, connector][0]) / 1000)


# ---------------------------------------------------------------------------
# Stories
# ---------------------------------------------------------------------------

Call = collections.namedtuple("Call", "name arguments")

# What a charge point keeps in order, and sends again until it is answered.
QUEUED = {"transaction", "progress"}
# What overtakes that.  Whatever else is called keeps its place.
OVERTAKING = {"status", "log", "boot", "heartbeat"}

KEYS = ["alice", "bob", "carol"]
TAGS = ["TAG1", "TAG2", "TAG3", "Tag-Of-20-Characters"]
PARENTS = ["", "", "FAMILY", "family", "family", "OTHER"]
PROGRESS = [(16.0, "A", 230.0, "V"), (32.0, "A", 400.0, "V"),
            (10.5, "A", 230.0, "V"), (11.0, "kW", 400.0, "V"),
            (0.0, "", 0.0, ""), (6.25, "a", 229.5, "v")]
ODD_TIMES = ["yesterday", "2021-03-01 10:00", "2021-13-01T10:00:00Z"]
ODD_STATUSES = ["", "ON_FIRE", "S_USPENDEDEV"]


class Story:
    """A random story: calls, as its model makes them plausible."""

    def __init__(self, seed, number, can_expire):
        self.random = random.Random(f"{seed} {number}")
        self.settings = Settings(
            auto_register=self.random.random() < 0.95,
            keep_authorization=self.random.random() < 0.2,
            auth_list_history=self.random.choice([100, 100, 100, 8, 2, 0]),
            confirm_within=self.random.choice(["1h", "1h", "1h", "0"]),
            max_transaction_duration=self.random.choice(["7d", "7d", "0"]))
        self.can_expire = can_expire
        self.model = Model(self.settings)
        self.calls = []
        self.now = STORY_TIME
        self.tell()

    def do(self, name, **arguments):
        """Add a call to the story.

        Not one that takes a consumer's newest entry if nobody knows which
        that is: of one version the order is that of tags, which are random.
        """
        entries = self.model.entries_of(arguments.get("key") or None)
        if (len({entry["version"] for entry in entries}) < len(entries)
                and any("RANDOM" in entry["tag"] for entry in entries)):
            return
        call = Call(name, arguments)
        self.calls.append(call)
        self.model.call(call)

    def chance(self, probability):
        return self.random.random() < probability

    def later(self, most=900):
        """Time goes on, mostly by whole seconds, or not at all."""
        if not self.chance(0.1):
            self.now += self.random.randint(1, most) * SECOND
        if self.chance(0.05):
            self.now += SECOND / 4
        if self.chance(0.03):
            self.now += self.random.randint(1, 30) * HOUR
        return self.now

    def written(self, moment):
        """A time, as some charge points write it."""
        if self.chance(0.1):
            zone = datetime.timezone(datetime.timedelta(hours=2))
            return moment.astimezone(zone).isoformat()
        return wire_time(moment)

    def spelled(self, tag):
        return tag.swapcase() if self.chance(0.2) else tag

    def tell(self):
        actions = {
            self.next_status: 14, self.odd_status: 6, self.authorize: 4,
            self.operator: 6, self.start: 9, self.confirm: 10,
            self.local_start: 5, self.progress: 8, self.stop: 6,
            self.report_stop: 9, self.again: 4, self.log: 3,
            self.heartbeat: 1, self.boot: 1, self.availability: 2,
            self.sync: 9, self.load: 3, self.registration: 1,
            self.expire: 4, self.odd_transaction: 2, self.tell_more: 3}
        self.connectors = list(range(1, self.random.randint(2, 4)))
        if self.chance(0.9):
            self.boot()
        for connector in self.connectors:
            if self.chance(0.9):
                self.do("status", connector=connector, status="AVAILABLE",
                        at=self.later(5))
        for key in KEYS:
            if self.chance(0.5):
                self.do("authorize", key=key)
            if self.chance(0.2):
                self.operator()
        if self.chance(0.5):
            self.sync()
        for _ in range(self.random.randint(6, 24)):
            self.random.choices(list(actions), actions.values())[0]()

    # -- the charge point

    def boot(self):
        fields = {name: f"{name[0]}{self.random.randint(1, 3)}"
                  for name in BOOT_FIELDS if self.chance(0.5)}
        self.do("boot", **fields)

    def heartbeat(self):
        self.do("heartbeat")

    def log(self):
        at = self.written(self.later(60))
        if self.chance(0.2):
            at = self.random.choice(ODD_TIMES + [""])
        self.do("log", at=at, error=self.chance(0.5),
                message=self.random.choice(["door open", ""]))

    def next_status(self):
        connector = self.random.choice(self.connectors)
        old = (self.model.connectors.get(connector) or {}).get("status")
        choice = [new for new in STATUSES
                  if old is None or allowed(old, new)]
        # mostly on towards what lets the story go on
        choice += [name for name in ("Available", "Preparing", "Charging")
                   if name in choice] * 3
        status = self.random.choice(choice)
        current = (self.model.connectors.get(connector) or {}).get(
            "transaction") or 0
        self.do("status", connector=connector,
                status=self.random.choice([status.upper(), status]),
                at=self.later(), current=self.random.choice([0, current]))

    def odd_status(self):
        connector = self.random.choice(self.connectors + [0, 0, 0, -1, 7])
        status = self.random.choice(STATUSES + ["Suspended_EV"])
        if connector == 0 and self.chance(0.8):
            status = self.random.choice(["Available", "Unavailable",
                                         "Faulted", "Available"])
        if self.chance(0.15):
            status = self.random.choice(ODD_STATUSES)
        at = self.now
        if self.chance(0.5):
            at -= self.random.choice([1, 60, 900, 3600]) * SECOND
        self.do("status", connector=connector, status=status, at=at,
                current=self.random.choice([0, 0, 1, 99, -1]))

    def pick_tag(self):
        tags = [entry["tag"] for entry in self.model.auth.values()]
        tags += [self.random.choice(TAGS), "STRANGER"]
        return self.spelled(self.random.choice(tags))

    def meter(self):
        return self.random.choice([0, 1000, 1000, 5000, 123456, MAX_INT])

    def some_progress(self, probability=0.15):
        return self.random.choice(PROGRESS) if self.chance(
            probability) else None

    def lost(self, id):
        """The id of a transaction, if the charge point has it."""
        return id if self.chance(0.7) else self.random.choice([0, 0, -1])

    def confirm(self):
        """The charge point started what was requested."""
        rows = [row for row in self.model.transactions.values()
                if row["confirmed"] is None]
        if not rows:
            return self.start()
        row = self.random.choice(rows)
        self.later(30)
        started = self.random.choice([row["started"], self.now])
        start = "" if self.chance(0.1) else self.written(
            self.now if is_now(started) else started)
        self.do("transaction", id=self.lost(row["id"]),
                tag=self.spelled(row["tag"] or "") if self.chance(0.9)
                else "", connector=row["connector"] if self.chance(0.95)
                else 0, start=start, end="", start_meter=self.meter(),
                progress=self.some_progress())

    def local_start(self):
        """Started at the charge point, whether or not that is in use."""
        connector = self.random.choice(self.connectors)
        if self.chance(0.1):
            connector = self.random.choice([0, 5, -1])
        id = self.random.choice([0, 0, 0, -1, self.model.point.get(
            "last_id", 0) + self.random.randint(1, 3)])
        if self.chance(0.02) or id > MAX_INT:
            id = MAX_INT - self.random.randint(0, 1)
        tag = self.pick_tag() if self.chance(0.9) else ""
        start = self.written(self.later() - (
            self.random.randint(0, 7200) * SECOND if self.chance(0.1)
            else 0 * SECOND))
        if self.chance(0.05):
            start = self.random.choice(["", ODD_TIMES[0]])
        self.do("transaction", id=id, tag=tag, connector=connector,
                start=start, end="", start_meter=self.meter(),
                progress=self.some_progress())

    def pick_row(self):
        """A transaction, mostly an open one, or None."""
        rows = list(self.model.transactions.values())
        ones = [row for row in rows if row["ended"] is None]
        if ones and self.chance(0.85):
            return self.random.choice(ones)
        return self.random.choice(rows) if rows else None

    def report_stop(self):
        row = self.pick_row()
        if row is None:
            return self.odd_transaction()
        self.later(3600)
        start = ""
        if self.chance(0.4) and not is_now(row["started"]):
            start = self.written(row["started"]) if row["started"] else ""
        end = self.written(self.now)
        if self.chance(0.04):
            end = self.random.choice(ODD_TIMES)
        meter = row["start_meter"] or 0
        self.do("transaction", id=self.lost(row["id"]),
                tag=self.spelled(row["tag"] or "") if self.chance(0.5)
                else "", connector=row["connector"] or self.random.choice(
                    self.connectors + [0]) if self.chance(0.7) else 0,
                start=start, end=end,
                start_meter=meter if start else 0,
                end_meter=self.random.choice(
                    [min(meter + 7500, MAX_INT), min(meter + 1, MAX_INT),
                     meter, max(meter - 10, 0)]),
                progress=self.some_progress())

    def tell_more(self):
        """A start is reported again, with something else in it."""
        row = self.pick_row()
        if row is None:
            return self.local_start()
        started = row["started"] or self.now
        if is_now(started) or self.chance(0.5):
            started = self.later(60)
        self.do("transaction", id=self.lost(row["id"]),
                tag=self.random.choice([row["tag"] or "", self.pick_tag()]),
                connector=row["connector"] if row["connector"] > 0
                and self.chance(0.8)
                else self.random.choice(self.connectors),
                start=self.written(started - self.random.choice(
                    [0, 0, 0, 3600]) * SECOND), end="",
                start_meter=self.meter(), progress=self.some_progress())

    def odd_transaction(self):
        """Of nothing that anybody knows."""
        self.later(60)
        self.do("transaction",
                id=self.random.choice([0, -1, 5, 40]), tag=self.pick_tag()
                if self.chance(0.5) else "",
                connector=self.random.choice([0, -2, 1, 2, 6]),
                start=self.random.choice(["", wire_time(self.now - HOUR),
                                          ODD_TIMES[2]]),
                end=self.random.choice(["", wire_time(self.now),
                                        ODD_TIMES[1]]),
                start_meter=self.meter(), end_meter=self.meter(),
                progress=self.some_progress())

    def progress(self):
        row = self.pick_row()
        id = self.lost(row["id"]) if row else 0
        if self.chance(0.1):
            id = self.random.choice([None, 77, -5])
        at = self.later(300)
        if self.chance(0.15):
            at -= self.random.choice([1, 300, 3600]) * SECOND
        self.do("progress", id=id, values=self.random.choice(PROGRESS), at=at)

    def again(self):
        """What was sent long ago is sent again."""
        calls = [call for call in self.calls
                 if call.name in QUEUED | {"status", "log"}]
        if calls:
            call = self.random.choice(calls)
            self.do(call.name, **call.arguments)

    def sync(self):
        versions = sorted(self.model.synced)
        since = self.random.choice([0] + versions + versions[-1:] * 4)
        self.do("sync", since=since)

    # -- consumers

    def authorize(self):
        self.do("authorize", key=self.random.choice(
            KEYS * 5 + ["", "mallory"]))

    def availability(self):
        self.do("availability",
                connector=self.random.choice(self.connectors + [0, 9]))

    def start(self):
        connector = self.random.choice(self.connectors)
        key = self.random.choice(KEYS)
        # what it takes, most of the time
        status = (self.model.connectors.get(connector) or {}).get("status")
        if self.chance(0.6) and status not in ("Available", "Preparing"):
            self.do("status", connector=connector, status="Available",
                    at=self.later(60))
        if self.chance(0.6):
            self.do("authorize", key=key)
        self.do("start", connector=connector if self.chance(0.97) else 9,
                key=key, at=self.later(60) - self.random.choice(
                    [0] * 9 + [7200]) * SECOND,
                meter=self.random.choice([None, None, 0, 1000]))

    def stop(self):
        ones = [row for row in self.model.transactions.values()
                if row["ended"] is None]
        connector = self.random.choice(self.connectors + [9])
        key = self.random.choice(KEYS)
        if ones and self.chance(0.8):
            row = self.random.choice(ones)
            connector = row["connector"]
            if self.chance(0.2) and row["tag"]:
                self.family(row["tag"], key)
            elif self.chance(0.7):
                key = row["key"] or key
        self.do("stop", connector=connector, key=key, at=self.later(3600),
                meter=self.random.choice([None, 0, 8500]),
                reason=self.random.choice(["Remote", "Remote", "PowerLoss"]))

    # -- the operator

    def family(self, tag, key):
        """A tag and a consumer's tags get parents, mostly the same."""
        self.do("authorization", key="", tag=tag,
                info=("Accepted", "", self.random.choice(PARENTS[2:])))
        self.do("authorization", key=key, tag="",
                info=("Accepted", "", self.random.choice(PARENTS[2:])))

    def operator(self):
        tag = self.random.choice(TAGS)
        if self.chance(0.3) and self.model.auth:
            tag = self.random.choice(list(self.model.auth.values()))["tag"]
        key = self.random.choice(KEYS)
        if self.chance(0.3):
            tag = ""
        elif self.chance(0.4):
            key = ""
        info = (self.random.choice(["Accepted"] * 5 + [
                    "Blocked", "Expired", "Invalid", "ConcurrentTx", ""]),
                self.random.choice(["", "", "2020-01-01T00:00:00Z",
                                    "9999-06-30T22:00:00+02:00"]),
                self.random.choice(PARENTS))
        if self.chance(0.15):
            info = None
        self.do("authorization", key=key, tag=self.spelled(tag), info=info)

    def registration(self):
        self.do("registration", status=self.random.choice(
            ["Accepted", "Accepted", "Pending", "Rejected"]))
        if self.chance(0.7):
            self.do("registration", status="Accepted")

    def expire(self):
        """Not with tags of both kinds: nobody knows the order of those."""
        past = self.model.past_expiry() if self.model.known else []
        if self.can_expire and (len(past) < 2 or not any(
                "RANDOM" in entry["tag"] for entry in past)):
            self.do("expire")

    def load(self):
        """A whole state: as it stands, or with a few things changed."""
        if not self.model.known:
            state = dict(status="", connectors={1: ("AVAILABLE", 0)},
                         transactions={}, auth={}, version=3, last_id=4)
        else:
            state = self.model.state()
        for info in state["transactions"].values():
            for name in ("start", "end"):
                if info[name] == NOW:
                    info[name] = wire_time(STORY_TIME)
        changes = [self.load_other_connector, self.load_other_transaction,
                   self.load_other_entry, self.load_other_numbers]
        for change in self.random.sample(changes, self.random.choice(
                [0, 0, 1, 2, 4])):
            change(state)
        if not self.depends_on_order(state):
            self.do("load", state=state)

    def depends_on_order(self, state):
        """Entries are loaded in the order of their tags; nobody knows that of
        random ones."""
        model = copy.deepcopy(self.model)
        before = len(model.events)
        model.call(Call("load", dict(state=state)))
        return len({e[1:5] for e in model.events[before:] if "auth" in e.kind
                    or e.fact == "loaded entry"}) > 1

    def load_other_connector(self, state):
        connectors = state["connectors"]
        if connectors and self.chance(0.3):
            del connectors[self.random.choice(sorted(connectors))]
        connector = self.random.choice(self.connectors)
        current = connectors.get(connector, ("", 0))[1]
        connectors[connector] = (
            self.random.choice([name.upper() for name in STATUSES] + [""]),
            current if self.chance(0.9) else 3)
        if self.chance(0.3):
            state["status"] = self.random.choice(
                ["", "AVAILABLE", "UNAVAILABLE"])

    def load_other_transaction(self, state):
        loaded = state["transactions"]
        ones = [number for number in sorted(loaded)
                if not loaded[number]["end"]]
        if ones and self.chance(0.7):
            number = self.random.choice(ones)
            if self.chance(0.3):
                del loaded[number]
            elif self.chance(0.2):
                loaded[number]["tag"] = self.pick_tag()
            else:
                loaded[number].update(end=wire_time(self.later()),
                                      end_meter=self.meter())
        if self.chance(0.5):
            number = state["last_id"] + self.random.randint(1, 2)
            if number > MAX_INT:
                return
            loaded[number] = dict(
                id=number, tag=self.pick_tag(),
                connector=self.random.choice(self.connectors),
                start=wire_time(self.later()),
                end=self.random.choice(["", wire_time(self.now + HOUR)]),
                start_meter=self.meter(), end_meter=0,
                progress=self.some_progress())
            state["last_id"] = number

    def load_other_entry(self, state):
        auth = state["auth"]
        if auth and self.chance(0.5):
            tag = self.random.choice(sorted(auth))
            key, number, info = auth.pop(tag)
            if self.chance(0.5):
                auth[tag] = (key, number, (self.random.choice(
                    ["Accepted", "Blocked", ""]), "", "FAMILY"))
        elif not any(fold(tag) == "loaded" for tag in auth):
            auth["LOADED"] = ("dave", 0, self.random.choice(
                [None, ("Accepted", "", "")]))
        state["version"] = min(state["version"] + self.random.randint(0, 2),
                               MAX_INT)

    def load_other_numbers(self, state):
        if self.chance(0.2):
            state["last_id"] = MAX_INT - self.random.randint(0, 1)
        elif self.chance(0.2):
            state["last_id"] = 0
        if self.chance(0.2):
            state["version"] = MAX_INT - self.random.randint(0, 1)


def knowable(call):
    """Whether a call can be known from its repetition.

    Rule: not an end that has neither an id nor any time that can be read.
    """
    a = call.arguments
    return (call.name != "transaction" or a["id"] > 0 or not a["end"]
            or bool(read_time(a["start"]) or read_time(a["end"])))


def repeated(calls, dice):
    """Each call 1, 2 or 5 times in a row."""
    return [call for call in calls
            for _ in range(dice.choice([1, 2, 5]) if knowable(call) else 1)]


def overtaken(calls, dice):
    """The same, as it arrives from a charge point that queues.

    Messages of transactions keep their order, and one in five is sent twice.
    Others come as early as they like, but in the order of their kind.  What is
    no message of the charge point stays where it is.
    """
    result = []
    part = []
    for call in calls + [None]:
        if call is not None and call.name in QUEUED | OVERTAKING:
            part.append(call)
            continue
        slots = collections.defaultdict(list)
        earliest = collections.Counter()
        queue = []
        for one in part:
            if one.name in QUEUED:
                queue.append(one)
                continue
            earliest[one.name] = max(dice.randint(0, len(queue)),
                                     earliest[one.name])
            slots[earliest[one.name]].append(one)
        for slot in range(len(queue) + 1):
            # kinds in any order, each kind in its own
            names = [one.name for one in slots[slot]]
            dice.shuffle(names)
            for name in names:
                result.append(next(one for one in slots[slot]
                                   if one.name == name))
                slots[slot].remove(result[-1])
            if slot < len(queue):
                again = dice.random() < 0.2 and knowable(queue[slot])
                result += [queue[slot]] * (2 if again else 1)
        part = []
        if call is not None:
            result.append(call)
    return result


def arrangements(seed, number, calls):
    """The three ways in which a story is played."""
    dice = random.Random(f"orders of {seed} {number}")
    return {"told": calls, "repeated": repeated(calls, dice),
            "overtaken": overtaken(calls, dice)}


# ---------------------------------------------------------------------------
# What a story says in bytes, and what is answered
# ---------------------------------------------------------------------------

# One call, and many of them in one round trip.  A random id tag is not known
# beforehand: the model calls the first RANDOM00000000000001, and so do its
# messages, until the tag is there.
PLAYER = """
CREATE FUNCTION pg_temp.call(name text, id text, message bytea,
    at timestamptz, n int, word text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    CASE name
    WHEN 'boot' THEN
        RETURN encode(evcharge.boot_notification(id, message), 'hex');
    WHEN 'heartbeat' THEN PERFORM evcharge.heartbeat(id);
    WHEN 'log' THEN PERFORM evcharge.report_log(id, message);
    WHEN 'status' THEN PERFORM evcharge.report_connector(id, message, at);
    WHEN 'transaction' THEN RETURN evcharge.report_transaction(id, message);
    WHEN 'progress' THEN PERFORM evcharge.report_progress(id, n, message, at);
    WHEN 'authorize' THEN RETURN encode(evcharge.authorize(message), 'hex');
    WHEN 'availability' THEN
        RETURN encode(evcharge.check_availability(message), 'hex');
    WHEN 'start' THEN
        RETURN encode(evcharge.start_transaction(message, at, n), 'hex');
    WHEN 'stop' THEN
        RETURN encode(evcharge.stop_transaction(message, at, n, word), 'hex');
    WHEN 'registration' THEN PERFORM evcharge.set_registration(id, word);
    WHEN 'authorization' THEN PERFORM evcharge.set_authorization(id, message);
    WHEN 'load' THEN PERFORM evcharge.load_state(message);
    WHEN 'sync' THEN
        RETURN (SELECT json_agg(json_build_array(update_type, list_version,
            auth_data::jsonb)) FROM evcharge.auth_list_changes(id, n));
    WHEN 'expire' THEN
        RETURN (SELECT json_agg(json_build_array(connector_id, transaction_id,
            reason)) FROM evcharge.expire(id));
    END CASE;
    RETURN NULL;
END $$;

CREATE FUNCTION pg_temp.play(id text, settings text[], names text[],
    messages bytea[], ats timestamptz[], ns int[], words text[],
    risky bool[], INOUT tags text[], OUT answers text[])
LANGUAGE plpgsql AS $$
DECLARE
    message bytea;
    hex text;
    answer text;
BEGIN
    PERFORM set_config('evcharge.auto_register', settings[1], true),
        set_config('evcharge.keep_authorization', settings[2], true),
        set_config('evcharge.auth_list_history', settings[3], true);
    IF cardinality(settings) > 3 THEN
        PERFORM set_config('evcharge.confirm_within', settings[4], true),
            set_config('evcharge.max_transaction_duration', settings[5], true);
    END IF;
    FOR i IN 1 .. cardinality(names) LOOP
        message := messages[i];
        IF position('RANDOM0000'::bytea IN message) > 0
            OR position('random0000'::bytea IN message) > 0
        THEN
            hex := encode(message, 'hex');
            FOR k IN 1 .. coalesce(cardinality(tags), 0) LOOP
                hex := replace(hex,
                    encode(('RANDOM' || lpad(k::text, 14, '0'))::bytea, 'hex'),
                    encode(tags[k]::bytea, 'hex'));
                hex := replace(hex,
                    encode(('random' || lpad(k::text, 14, '0'))::bytea, 'hex'),
                    encode(lower(tags[k])::bytea, 'hex'));
            END LOOP;
            message := decode(hex, 'hex');
        END IF;
        IF risky[i] THEN
            BEGIN
                answer := pg_temp.call(names[i], id, message, ats[i], ns[i],
                    words[i]);
            EXCEPTION WHEN OTHERS THEN
                answer := 'error ' || SQLSTATE;
            END;
        ELSE
            answer := pg_temp.call(names[i], id, message, ats[i], ns[i],
                words[i]);
        END IF;
        answers[i] := answer;
        IF names[i] IN ('authorize', 'authorization') THEN
            tags := tags || ARRAY(SELECT id_tag FROM evcharge.auth a
                WHERE a.charge_point_id = id AND id_tag ~ '^[2-9A-Z]{20}$'
                AND NOT id_tag = ANY (tags));
        END IF;
    END LOOP;
END $$;
"""


class Wire:
    """Makes the messages of calls, and reads the answers."""

    def __init__(self):
        self.gateway = messages.load()
        self.counts = collections.Counter()

    def parameters(self, call, expected, id):
        """The message, time, number and word of a call."""
        a = call.arguments
        make = getattr(self, "make_" + call.name, None)
        message = make(id, **a).SerializeToString() if make else None
        number = a.get("id") if call.name == "progress" else a.get("meter")
        if call.name == "sync":
            number = expected[0] if expected[0] != "error" else 0
        return (message, a["at"] if call.name != "log" and "at" in a
                else None, number, a.get("reason") or (
                    a["status"] if call.name == "registration" else None))

    def make_boot(self, id, **fields):
        return self.gateway.BootNotificationRequestData(**fields)

    def make_log(self, id, at, error, message):
        return self.gateway.LogData(current_time=at, resp=dict(
            error=error, message=message))

    def make_status(self, id, connector, status, at, current=0):
        return self.gateway.ConnectorInfo(id=connector, status=status,
                                          current_transaction=current)

    def make_progress(self, _, id, values, at):
        return self.gateway.EVChargingStatusData(**self.progress(values))

    @staticmethod
    def progress(values):
        return dict(zip(("current_offered", "current_unit",
                         "voltage_offered", "voltage_unit"), values))

    def make_transaction(self, _, id, tag, connector, start, end,
                         start_meter=0, end_meter=0, progress=None):
        return self.gateway.TransactionInfo(
            id=id, id_tag=tag, connector_id=connector, start_time=start,
            end_time=end, start_meter=start_meter, end_meter=end_meter,
            progress=self.progress(progress) if progress else None)

    def make_authorize(self, id, key):
        return self.gateway.AuthorizeRequestData(
            charge_point_client_id=id, consumer_public_key=key)

    def make_availability(self, id, connector):
        return self.gateway.CheckAvailabilityRequestData(
            charge_point_client_id=id, connector_id=connector)

    def make_start(self, id, connector, key, at, meter):
        return self.gateway.StartTransactionRequestData(
            charge_point_client_id=id, connector_id=connector,
            consumer_public_key=key)

    def make_stop(self, id, connector, key, at, meter, reason):
        return self.gateway.StopTransactionRequestData(
            charge_point_client_id=id, connector_id=connector,
            consumer_public_key=key)

    def info(self, info):
        return info and dict(status=info[0], expiryDate=info[1],
                             parentIdTag=info[2])

    def make_authorization(self, _, key, tag, info):
        return self.gateway.ConsumerAuthData(public_key=key, auth_data=dict(
            idTag=tag, idTagInfo=self.info(info)))

    def make_load(self, id, state):
        message = self.gateway.ChargePointState(
            id=id, status=state["status"],
            current_auth_list_version=state["version"],
            current_transaction_id=state["last_id"])
        for number, (status, current) in state["connectors"].items():
            message.connectors[number].CopyFrom(self.gateway.ConnectorInfo(
                id=number, status=status, current_transaction=current))
        for number, info in state["transactions"].items():
            message.transactions[number].CopyFrom(
                self.make_transaction(None, **info))
        for tag, (key, number, info) in state["auth"].items():
            message.auth_list[tag].CopyFrom(self.gateway.ConsumerAuthData(
                public_key=key, transaction_id=number, auth_data=dict(
                    idTag=tag, idTagInfo=self.info(info))))
        return message

    def read_info(self, info, normal):
        return dict(
            id=info.id, tag=normal.tag(info.id_tag),
            connector=info.connector_id, start=normal.text(info.start_time),
            end=normal.text(info.end_time), start_meter=info.start_meter,
            end_meter=info.end_meter,
            progress=(info.progress.current_offered,
                      info.progress.current_unit,
                      info.progress.voltage_offered,
                      info.progress.voltage_unit)
            if info.HasField("progress") else None)

    def read_state(self, wire, normal):
        state = self.gateway.ChargePointState.FromString(wire)
        return dict(
            status=state.status,
            connectors={number: (row.status, row.current_transaction)
                        for number, row in state.connectors.items()},
            transactions={number: self.read_info(info, normal)
                          for number, info in state.transactions.items()},
            auth={normal.tag(tag): (
                entry.public_key, entry.transaction_id,
                (entry.auth_data.idTagInfo.status,
                 entry.auth_data.idTagInfo.expiryDate,
                 entry.auth_data.idTagInfo.parentIdTag)
                if entry.auth_data.HasField("idTagInfo") else None)
                for tag, entry in state.auth_list.items()},
            version=state.current_auth_list_version,
            last_id=state.current_transaction_id)

    def answer_of(self, call, answer, expected, normal):
        """What the caller of a call sees, as the model says it."""
        if answer is not None and answer.startswith("error "):
            return tuple(answer.split())
        if isinstance(expected, tuple) and expected[0] == "error":
            return answer
        if call.name == "transaction":
            return int(answer)
        if call.name == "boot":
            data = self.gateway.LogData.FromString(bytes.fromhex(answer))
            assert read_time(data.current_time)
            return data.resp.error, data.resp.message
        if call.name == "expire":
            return json.loads(answer) if answer else []
        if call.name == "sync":
            return self.synced(json.loads(answer) if answer else [],
                               expected, normal)
        types = dict(authorize="AuthorizeResponseData",
                     availability="CheckAvailabilityResponseData",
                     start="StartTransactionResponseData",
                     stop="StopTransactionResponseData")
        if call.name not in types:
            return answer
        data = getattr(self.gateway, types[call.name]).FromString(
            bytes.fromhex(answer))
        self.counts[f"{call.name} "
                    f"{'refused' if data.resp.error else 'granted'}"] += 1
        if call.name != "stop":
            return data.resp.error
        return data.resp.error, (
            self.read_info(data.transaction_info, normal)
            if data.HasField("transaction_info") else None)

    def synced(self, rows, expected, normal):
        """What a charge point makes of SendLocalList (OCPP 1.6 section 5.15).

        Full replaces the list.  Differential adds or changes what has an
        idTagInfo, and removes what has none.
        """
        since, has, version, _ = expected
        result = dict(has)
        if rows and rows[0][0] == "Full":
            result = {}
        for kind, new_version, data in rows:
            if data is None:
                continue
            tag = normal.tag(data["idTag"])
            info = data.get("idTagInfo")
            if info:
                result[fold(tag)] = (tag, info.get("status", ""), info.get(
                    "expiryDate", ""), info.get("parentIdTag", ""))
            elif kind == "Differential":
                result.pop(fold(tag), None)
        self.counts[f"list {rows[0][0] if rows else 'unchanged'}"] += 1
        versions = {row[1] for row in rows} or {since}
        kinds = {row[0] for row in rows}
        assert len(kinds) < 2 and len(versions) == 1, rows
        return since, has, versions.pop(), result


# ---------------------------------------------------------------------------
# The comparison
# ---------------------------------------------------------------------------

Difference = collections.namedtuple("Difference", "what server model")


class Normal:
    """Values of the server as the model has them: its clock, random tags."""

    def __init__(self, since):
        self.since = since
        self.until = since + DAY
        self.tags = {}

    def learn(self, tags):
        for number, tag in enumerate(tags, 1):
            symbol = f"RANDOM{number:014d}"
            self.tags[tag] = symbol
            self.tags[tag.lower()] = symbol.lower()

    def tag(self, tag):
        return self.tags.get(tag, tag)

    def text(self, text):
        moment = read_time(text)
        return NOW if moment and self.since <= moment < self.until else text

    def row(self, row):
        return tuple(
            NOW if type(value) is datetime.datetime
            and self.since <= value < self.until
            else self.tags.get(value, value) if type(value) is str
            else value for value in row)


class Performance:
    """A list of calls on a charge point of its own, played in pieces."""

    def __init__(self, id, settings, calls, since):
        self.id = id
        self.calls = calls
        self.settings = settings
        self.model = Model(settings)
        self.normal = Normal(since)
        self.tags = []
        self.played = 0
        self.differences = []

    def play(self, cursor, wire, until):
        """Play up to a call, and compare what is answered."""
        calls = self.calls[self.played:until]
        self.played = until
        if not calls or self.differences:
            return
        expected = [self.model.call(call) for call in calls]
        parameters = [wire.parameters(call, answer, self.id)
                      for call, answer in zip(calls, expected)]
        settings = [str(value).lower() for value in self.settings]
        if not CAN_EXPIRE:
            settings = settings[:3]
        risky = [isinstance(answer, tuple) and answer[0] == "error"
                 for answer in expected]
        try:
            cursor.execute(
                "SELECT tags, answers FROM pg_temp.play(%s, %s::text[], "
                "%s::text[], %s::bytea[], %s::timestamptz[], %s::int[], "
                "%s::text[], %s::bool[], %s::text[])",
                [self.id, settings, [call.name for call in calls]]
                + [list(column) for column in zip(*parameters)]
                + [risky, self.tags])
        except psycopg2.Error as error:
            self.differences.append(Difference("error", str(error), ""))
            return
        self.tags, answers = cursor.fetchone()
        self.normal.learn(self.tags)
        for call, answer, wanted in zip(calls, answers, expected):
            got = wire.answer_of(call, answer, wanted, self.normal)
            if got != wanted:
                self.differences.append(Difference(
                    f"answer to {shown(call)}", got, wanted))

    def compare(self, rows, state):
        """Compare the rows of this charge point in all relations."""
        model = self.model
        view = self.view = View(model)
        if self.differences:
            return
        for relation, wanted in view.rows.items():
            got = [self.normal.row(row) for row in rows[relation]]
            got, wanted = map(collections.Counter, (got, wanted))
            if got != wanted:
                self.differences.append(Difference(
                    relation, in_order(got - wanted), in_order(wanted - got)))
        if state != (model.state() if model.known else None):
            self.differences.append(Difference(
                "charge_point_state()", state, model.known and model.state()))


def in_order(rows):
    return sorted(rows.elements(), key=repr)


def shown(call):
    arguments = ", ".join(f"{name}={plain(value)!r}"
                          for name, value in call.arguments.items())
    return f"{call.name}({arguments})"


def plain(value):
    return str(value) if isinstance(value, datetime.datetime) else value


def without_repetition(events):
    """The events of a model, but for those that a repetition may add."""
    return [(e.kind, e.connector, e.transaction, e.old, e.new, e.reason,
             now_or(e.at)) for e in events
            if e.kind != "booted"
            and not (e.kind == "log" and is_now(e.at))]


def state_rows(model):
    """The rows of the tables that are state, but for counters of events."""
    rows = View(model, history=False).rows
    counter = COLUMNS["charge_point"].index("last_event_id")
    return {name: [row[:counter] + row[counter + 1:]
                   if name == "charge_point" else row for row in rows[name]]
            for name in STATE_TABLES}


def told(settings, calls):
    model = Model(settings)
    for call in calls:
        model.call(call)
    return model


def promises(settings, calls, kind, played):
    """What a repetition, or an order, must not change; None if all is well.

    It is the models of both that are compared, each of which is compared with
    the server.
    """
    one, other = told(settings, calls), told(settings, played)
    a, b = state_rows(one), state_rows(other)
    for name in STATE_TABLES:
        if a[name] != b[name]:
            return Difference(f"{name} of what was {kind}", b[name], a[name])
    if kind == "repeated":
        a, b = map(without_repetition, (one.events, other.events))
        if a != b:
            return Difference("events of what was repeated",
                              [e for e in b if e not in a] or b,
                              [e for e in a if e not in b] or a)
    return None


CAN_EXPIRE = True


class Theatre:
    """A database in which stories are played."""

    def __init__(self, dsn, seed):
        global CAN_EXPIRE
        self.seed = seed
        self.wire = Wire()
        self.connection = psycopg2.connect(dsn)
        self.connection.autocommit = True
        self.connection.set_client_encoding("UTF8")
        self.cursor = self.connection.cursor()
        self.cursor.execute(PLAYER)
        self.cursor.execute(
            "SET TimeZone = 'UTC'; SET synchronous_commit = off; "
            "SET jit = off; SET max_parallel_workers_per_gather = 0; "
            "SET evcharge.notify = off; "
            "SELECT to_regprocedure('evcharge.expire(text, int)') IS NOT NULL,"
            " date_trunc('second', now())")
        CAN_EXPIRE, since = self.cursor.fetchone()
        self.since = since.astimezone(UTC)
        # what ends now goes into an hour and a day that begin before that
        self.today = self.since.replace(hour=0, minute=0, second=0)
        self.numbers = 0
        self.counts = collections.Counter()

    def clear(self):
        self.cursor.execute(
            "TRUNCATE evcharge.charge_point, evcharge.connector, "
            "evcharge.transaction, evcharge.auth, evcharge.event, "
            "evcharge.meter_sample, evcharge.gateway_log")

    def perform(self, settings, calls):
        self.numbers += 1
        return Performance(f"CP-{self.numbers}", settings, calls, self.since)

    def rows(self, ids):
        """All rows of all relations, by charge point."""
        rows = collections.defaultdict(
            lambda: {name: [] for name in COLUMNS})
        for relation, columns in COLUMNS.items():
            columns = [f"CASE WHEN {c[:-1]} IS NULL THEN NULL ELSE '{SET}' END"
                       if c[-1] == "?" else c for c in columns]
            self.cursor.execute(
                "SELECT charge_point_id, {} FROM evcharge.{}{}".format(
                    ", ".join(columns), relation,
                    "" if ids is None else
                    " WHERE charge_point_id = ANY (%s)"),
                None if ids is None else [ids])
            found = self.cursor.fetchall()
            if relation in ("energy_hourly", "energy_daily",
                            "connector_utilization"):
                found = [row for row in found if row[1] < self.today]
            elif relation == "connector_timeline":
                found = [row[:-2] + (SET,) + row[-1:]
                         if row[4] is None or row[4] >= self.since
                         else row for row in found]
            elif relation == "transaction_history":
                found = [row[:5] + (row[3] and SET,) + row[6:]
                         if row[4] >= self.since or row[3] is not None
                         and row[3] >= self.since
                         else row for row in found]
            for row in found:
                rows[row[0]][relation].append(row[1:])
        return rows

    def compare(self, performances, only=False):
        """Compare everything that is there with the models of all of it."""
        ids = [p.id for p in performances]
        rows = self.rows(ids if only else None)
        self.cursor.execute(
            "SELECT charge_point_id, evcharge.encode("
            "evcharge.charge_point_state(charge_point_id, NULL)) "
            "FROM evcharge.charge_point WHERE charge_point_id = ANY (%s)",
            [ids])
        states = dict(self.cursor.fetchall())
        for p in performances:
            state = states.get(p.id)
            if state is not None:
                state = self.wire.read_state(bytes(state), p.normal)
            p.compare(rows[p.id], state)

    def health(self, performances):
        """The one row of gateway_health, and that nothing is out of order."""
        self.cursor.execute("SELECT {} FROM evcharge.gateway_health".format(
            ", ".join(HEALTH)))
        got = list(self.cursor.fetchone())
        wanted = [sum(values) for values in zip(*(
            p.view.health for p in performances if p.model.known))]
        found = []
        if got != wanted and not any(p.differences for p in performances):
            found.append(Difference("gateway_health", dict(zip(HEALTH, got)),
                                    dict(zip(HEALTH, wanted))))
        self.cursor.execute("SELECT * FROM evcharge.check_integrity()")
        by_id = {p.id: p for p in performances}
        for row in self.cursor.fetchall():
            by_id[row[1]].differences.append(Difference(
                f"check_integrity(): {row[0]}", row, ""))
        return found

    def batch(self, numbers):
        """Play some stories three times; return what is different."""
        self.clear()
        stories = [Story(self.seed, number, CAN_EXPIRE) for number in numbers]
        acts = []
        for number, story in zip(numbers, stories):
            for kind, played in arrangements(self.seed, number,
                                             story.calls).items():
                p = self.perform(story.settings, played)
                p.number, p.kind = number, kind
                acts.append(p)
                self.counts[f"calls {kind}"] += len(played)
                if kind != "told":
                    broken = promises(story.settings, story.calls, kind,
                                      played)
                    if broken:
                        p.differences.append(broken)
            for call in story.calls:
                self.counts[f"call {call.name}"] += 1
            for event in story.model.events:
                self.counts[f"event {event.reason or event.kind}"] += 1
        first = [p for p in acts if p.kind == "told"]
        for p in first:
            # somewhere in the middle, not always at the same place
            p.play(self.cursor, self.wire,
                   len(p.calls) * (1 + p.number % 7) // 8)
        self.compare(first)
        for p in acts:
            p.play(self.cursor, self.wire, len(p.calls))
        self.compare(acts)
        results = [(None, "", None, [found]) for found in self.health(acts)]
        for p in acts:
            if p.differences:
                results.append((p.number, p.kind, p.settings, p.differences))
        self.counts["stories"] += len(stories)
        self.counts["performances"] += len(acts)
        return results

    # -- what is shown of a difference

    def differences(self, settings, calls):
        """Play calls once more on a new charge point."""
        p = self.perform(settings, calls)
        p.play(self.cursor, self.wire, len(calls))
        self.compare([p], only=True)
        if not p.differences:
            self.cursor.execute("SELECT * FROM evcharge.check_integrity() "
                                "WHERE charge_point_id = %s", [p.id])
            p.differences += [Difference(f"check_integrity(): {row[0]}", row,
                                         "") for row in self.cursor.fetchall()]
        return p.differences

    def shorten(self, number, kind, settings):
        """The fewest calls of a story that still show a difference."""
        story = Story(self.seed, number, CAN_EXPIRE)
        calls = arrangements(self.seed, number, story.calls)[kind]
        find = self.differences
        if not find(settings, calls):
            if kind == "repeated":
                calls = story.calls

                def find(settings, calls):
                    found = promises(settings, calls, kind, [
                        call for call in calls for _ in range(2)])
                    return [found] if found else []
            if not find(settings, calls):
                return calls, []
        low, high = 0, len(calls)
        while high - low > 1:
            middle = (low + high) // 2
            if find(settings, calls[:middle]):
                high = middle
            else:
                low = middle
        calls = calls[:high]
        at = len(calls) - 1
        while at >= 0:
            fewer = calls[:at] + calls[at + 1:]
            if fewer and find(settings, fewer):
                calls = fewer
            at -= 1
        return calls, find(settings, calls)


def show_rows(title, value):
    if isinstance(value, list):
        print(f"   {title}:")
        for row in value:
            print(f"      {tuple(map(plain, row))}")
    else:
        print(f"   {title}: {value}")


def show(theatre, results, most):
    """Show the first difference of each of some stories."""
    first = {}
    for result in results:
        first.setdefault(result[0], result)
    for number, kind, settings, found in list(first.values())[:most]:
        print(f"-- story {number} of seed {theatre.seed}, {kind}")
        if number is not None:
            calls, shorter = theatre.shorten(number, kind, settings)
            found = shorter or found
            print(f"   {settings}")
            for call in calls:
                print(f"   {shown(call)}")
        for difference in found:
            print(f"   differs: {difference.what}")
            show_rows("server", difference.server)
            show_rows("model", difference.model)
        sys.stdout.flush()


def work(dsn, seed, numbers, most, queue):
    """Play the stories of one database; tell what was counted and found."""
    try:
        theatre = Theatre(dsn, seed)
        results = []
        for start in range(0, len(numbers), BATCH):
            results += theatre.batch(numbers[start:start + BATCH])
        if results:
            show(theatre, results, most)
        theatre.clear()
        queue.put((theatre.counts + theatre.wire.counts, len(results), None))
    except Exception:
        queue.put((collections.Counter(), 1, traceback.format_exc()))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="Fails if there is any difference.")
    parser.add_argument("--dsn", action="append",
                        help="of a database; more of them share the work")
    parser.add_argument("--stories", type=int, default=2000, metavar="N")
    parser.add_argument("--seed", type=int, help="random without it")
    parser.add_argument("--only", type=int, metavar="N",
                        help="only story N of the seed")
    parser.add_argument("--show", type=int, default=3, metavar="N",
                        help="differences to show, of each database")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1000000)
    print(f"seed: {options.seed}", flush=True)

    numbers = (list(range(options.stories)) if options.only is None
               else [options.only])
    dsns = options.dsn or [""]
    queue = multiprocessing.Queue()
    workers = [multiprocessing.Process(
        target=work, args=(dsn, options.seed, numbers[i::len(dsns)],
                           options.show, queue))
        for i, dsn in enumerate(dsns)]
    for worker in workers:
        worker.start()
    counts = collections.Counter()
    differences = 0
    for _ in workers:
        counted, found, failure = queue.get()
        counts += counted
        differences += found
        if failure:
            print(failure)
    for worker in workers:
        worker.join()
    for name in sorted(counts):
        print(f"{name}: {counts[name]}")
    print(f"differences: {differences}")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
