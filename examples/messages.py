"""The classes of the wire format, and how their bytes become parameters.

protoc makes the classes from proto/ when a program starts, so that nothing
generated stands in the project and none of it can be older than the format.
"""

import importlib
import pathlib
import subprocess
import sys
import tempfile

import psycopg2

PROTO = pathlib.Path(__file__).resolve().parent.parent / "proto"
FORMAT = "charge_point_gateway_format"


def load():
    """Return the module with the classes of package gateway."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["protoc", f"--proto_path={PROTO}",
                        f"--python_out={directory}", f"{FORMAT}.proto"],
                       check=True)
        sys.path.insert(0, directory)
        try:
            return importlib.import_module(f"{FORMAT}_pb2")
        finally:
            sys.path.remove(directory)


def parameters(arguments):
    """Return the arguments of a call, with wire bytes in place of messages."""
    return [psycopg2.Binary(a.SerializeToString())
            if hasattr(a, "SerializeToString") else a for a in arguments]
