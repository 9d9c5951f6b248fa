#!/usr/bin/python3
"""One charging session, from authorize to stop, as a gateway has it.

It shows the protobuf bytes that go into each call and come out of it, with
what they mean, and beside them the notifications, as a listener on another
connection hears them.

Run it on a database where "CREATE EXTENSION evcharge" and "SELECT
evcharge.install()" were run.  It needs Debian's protobuf-compiler,
python3-protobuf and python3-psycopg2.
"""

import argparse
import datetime
import json
import select
import sys

import psycopg2
from google.protobuf import json_format

import messages

CHANNELS = ["evcharge_charge_point", "evcharge_connector",
            "evcharge_transaction", "evcharge_auth"]

CHARGE_POINT = "DEMO-1"
CONSUMER = "consumer-key-of-alice"
ANOTHER = "consumer-key-of-bob"


class Listener:
    """A connection that hears what changes."""

    def __init__(self, dsn):
        self.connection = psycopg2.connect(dsn)
        self.connection.autocommit = True
        with self.connection.cursor() as cursor:
            for channel in CHANNELS:
                cursor.execute(f"LISTEN {channel}")

    def hear(self):
        """Print what arrives now; return the keys of it all."""
        heard = {}
        while select.select([self.connection], [], [], 0.1)[0]:
            self.connection.poll()
            while self.connection.notifies:
                note = self.connection.notifies.pop(0)
                print(f"  heard  {note.channel}  {note.payload}")
                heard.update(json.loads(note.payload))
        return heard


class Gateway:
    """A connection that makes the calls."""

    def __init__(self, dsn):
        self.connection = psycopg2.connect(dsn)
        self.connection.autocommit = True

    def call(self, function, *arguments, answer=None):
        """Call a function with wire bytes; show them and its answer."""
        print(f"\n{function}")
        for argument in arguments:
            if hasattr(argument, "SerializeToString"):
                show("in ", argument)
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT evcharge.{}({})".format(
                function, ", ".join(["%s"] * len(arguments))),
                messages.parameters(arguments))
            value = cursor.fetchone()[0]
        if answer is not None:
            answer.ParseFromString(bytes(value))
            show("out", answer)


def show(direction, message):
    """Print a message: its bytes in hex, then as JSON."""
    print(f"  {direction}    {message.DESCRIPTOR.name}"
          f"  {message.SerializeToString().hex()}")
    print("        ", json.dumps(json_format.MessageToDict(message)))


def now():
    """Return the time, with its offset."""
    return datetime.datetime.now(datetime.timezone.utc)


def main():
    """Charge once."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dsn", default="", help="libpq connection string"
        " (default: what PGHOST, PGDATABASE and so on say)")
    dsn = parser.parse_args().dsn

    m = messages.load()
    gateway = Gateway(dsn)
    listener = Listener(dsn)

    def report_connector(status, transaction=0):
        gateway.call("report_connector", CHARGE_POINT, m.ConnectorInfo(
            id=1, status=status, current_transaction=transaction))
        return listener.hear()

    def start(consumer):
        gateway.call(
            "start_transaction", m.StartTransactionRequestData(
                charge_point_client_id=CHARGE_POINT, connector_id=1,
                consumer_public_key=consumer),
            now(), 52000,
            answer=m.StartTransactionResponseData())
        return listener.hear()

    gateway.call("boot_notification", CHARGE_POINT,
                 m.BootNotificationRequestData(charge_point_model="Twin 22",
                                               Charge_point_vendor="Example"),
                 answer=m.LogData())
    listener.hear()
    report_connector("AVAILABLE")
    gateway.call("authorize", m.AuthorizeRequestData(
        charge_point_client_id=CHARGE_POINT, consumer_public_key=CONSUMER),
        answer=m.AuthorizeResponseData())
    listener.hear()
    gateway.call("check_availability", m.CheckAvailabilityRequestData(
        charge_point_client_id=CHARGE_POINT, connector_id=1),
        answer=m.CheckAvailabilityResponseData())
    report_connector("PREPARING")
    transaction = start(CONSUMER).get("transaction_id", 0)
    report_connector("CHARGING", transaction)
    print("\nAnother consumer wants the same connector and is refused:")
    start(ANOTHER)
    gateway.call("report_progress", CHARGE_POINT, transaction,
                 m.EVChargingStatusData(current_offered=16, current_unit="A",
                                        voltage_offered=230, voltage_unit="V"))
    listener.hear()
    gateway.call("stop_transaction", m.StopTransactionRequestData(
        charge_point_client_id=CHARGE_POINT, connector_id=1,
        consumer_public_key=CONSUMER),
        now(), 59400, answer=m.StopTransactionResponseData())
    listener.hear()
    report_connector("FINISHING")
    report_connector("AVAILABLE")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (psycopg2.Error, OSError) as problem:
        sys.exit(f"session: {problem}")
