#!/usr/bin/python3
"""Compare evcharge.message with another implementation of protobuf.

Makes random messages of all 19 types, unruly bytes that a strange but correct
sender could write, and damaged copies of both, and sees that the server and
Google's python3-protobuf agree: on whether the bytes are a message, on its
value, on its canonical bytes, on its JSON in all three spellings, and on what
comes of JSON texts, which are unruly and damaged as well.

Google's implementation is not the specification.  Where the two differ, an
own reading of the bytes or the text decides, and names the rule: see
wire_rule() and JsonRule.  A difference without a rule fails.

Message N of a seed is always the same, so that --only N shows it again.  Needs
a database with the extension, and Debian's protobuf-compiler, python3-protobuf
(with its C++ part; the one in Python alone is another implementation, and says
other things) and python3-psycopg2.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import re
import struct
import sys
import warnings

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent
                       / "examples"))

import messages  # noqa: E402
from google.protobuf import json_format  # noqa: E402
from google.protobuf.internal import api_implementation  # noqa: E402
from google.protobuf.message import DecodeError  # noqa: E402

BATCH = 500

# All that is asked of the server, in one statement for many messages: "py"
# is the JSON of the other implementation, "odd" a text that may be damaged,
# and "odd_any" the same as text of the type.
QUESTIONS = """
SELECT v.ok, v.byte_offset, v.detail,
    m IS NOT NULL AS decoded,
    evcharge.encode(m) AS wire,
    evcharge.encode(evcharge.try_decode(type, evcharge.encode(m))) AS again,
    evcharge.to_json(m)::text AS json,
    evcharge.to_json(m, emit_defaults => true)::text AS defaults,
    evcharge.to_json(m, proto_names => true)::text AS names,
    evcharge.encode(evcharge.from_json(type, evcharge.to_json(m))) AS back,
    evcharge.encode(evcharge.from_json(type, evcharge.to_json(m, true)))
        AS back_defaults,
    evcharge.encode(evcharge.from_json(type, evcharge.to_json(m, false, true)))
        AS back_names,
    evcharge.encode(evcharge.from_json(type, py::json)) AS py_back,
    (pg_temp.read_json(type, odd)).*,
    (pg_temp.read_text(odd_any)).*
FROM unnest(%s::text[], %s::bytea[], %s::text[], %s::bytea[], %s::bytea[])
        WITH ORDINALITY AS question (type, bytes, py, odd, odd_any, n),
    LATERAL evcharge.validate(type, bytes) AS v,
    LATERAL (SELECT evcharge.try_decode(type, bytes) AS m OFFSET 0) AS d
ORDER BY n
"""

# What refuses a text, and nothing else: malformed message, malformed json,
# not UTF-8.
READERS = """
CREATE FUNCTION pg_temp.read_json(type text, text bytea,
    OUT odd_wire bytea, OUT odd_fault text) LANGUAGE plpgsql AS $$
BEGIN
    odd_wire := evcharge.encode(evcharge.from_json(type,
        convert_from(text, 'UTF8')::json));
EXCEPTION
    WHEN SQLSTATE 'OC001' OR invalid_text_representation
        OR character_not_in_repertoire OR untranslatable_character THEN
    GET STACKED DIAGNOSTICS odd_fault = PG_EXCEPTION_DETAIL;
END $$;
CREATE FUNCTION pg_temp.read_text(text bytea,
    OUT any_wire bytea, OUT any_fault text) LANGUAGE plpgsql AS $$
BEGIN
    any_wire := evcharge.encode(convert_from(text, 'UTF8')::evcharge.message);
EXCEPTION
    WHEN SQLSTATE 'OC001' OR SQLSTATE 'OC003'
        OR character_not_in_repertoire OR untranslatable_character THEN
    GET STACKED DIAGNOSTICS any_fault = PG_EXCEPTION_DETAIL;
END $$;
"""


# ---------------------------------------------------------------------------
# Values at the edges
# ---------------------------------------------------------------------------

INTS = [0, 1, -1, 2, 127, 128, -128, 300, 16383, 16384, 2097151, 2097152,
        268435455, 268435456, 2147483647, -2147483648]
FLOATS = [0.0, -0.0, 1.0, -2.5, 0.1, 16.1, 230.0, 1e10, 16777216.0,
          8589973000.0, 5.684342e-14, float("inf"), float("-inf"),
          float("nan"),
          struct.unpack("<f", b"\x01\x00\x00\x00")[0],      # smallest denormal
          struct.unpack("<f", b"\xff\xff\x7f\x80")[0],      # largest, negative
          struct.unpack("<f", b"\x00\x00\x80\x00")[0],      # smallest normal
          struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]]      # largest
CHARACTERS = ["a", '"', "\\", "/", "<", "\x7f", "\x80", "\u00e9", "\u00ff",
              "\u0100", "\u07ff", "\u0800", "\u20ac", "\u2028", "\ud7ff",
              "\ue000", "\ufeff", "\ufffd", "\uffff", "\U00010000",
              "\U0001f600", "\U0010ffff"]
VARINTS = [0, 1, 127, 128, 2**31, 2**32, 2**63, 2**64 - 1]
NUMBERS = [1, 2, 3, 4, 5, 9, 15, 16, 100, 2047, 2048, 536870911]

VARINT, FIXED64, BYTES, GROUP, END_GROUP, FIXED32 = range(6)


def is_map(field):
    """Is it a map?  The format has no other repeated fields."""
    return field.label == field.LABEL_REPEATED


# ---------------------------------------------------------------------------
# Reading bytes
# ---------------------------------------------------------------------------

class Rule(Exception):
    """The rule by which bytes or a text are refused."""


def read_varint(data, at):
    value = 0
    for i, byte in enumerate(data[at:at + 10]):
        value |= (byte & 0x7f) << 7 * i
        if byte < 0x80:
            return value, at + i + 1
    raise Rule("a varint ends within ten bytes")


def split(data):
    """The fields of canonical bytes, each with its tag."""
    parts = []
    at = 0
    while at < len(data):
        start = at
        tag, at = read_varint(data, at)
        if tag & 7 == FIXED32:
            at += 4
        else:
            value, at = read_varint(data, at)
            at += value if tag & 7 == BYTES else 0
        parts.append(data[start:at])
    return parts


# ---------------------------------------------------------------------------
# Making messages
# ---------------------------------------------------------------------------

class Maker:
    """Random messages, bytes and texts; the same for the same seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def odds(self, chance):
        return self.random.random() < chance

    def int32(self):
        if self.odds(0.7):
            return self.random.choice(INTS)
        return self.random.randrange(-2**31, 2**31)

    def float32(self):
        """Any bits, often those at the edges."""
        if self.odds(0.6):
            return self.random.choice(FLOATS)
        return struct.unpack("<f", self.random.randbytes(4))[0]

    def string(self):
        kind = self.random.random()
        if kind < 0.2:
            return ""
        if kind < 0.5:
            return "".join(self.random.choices("abcXYZ0123 -_/",
                                               k=self.random.randrange(1, 30)))
        if kind < 0.6:
            return "".join(chr(self.random.randrange(1, 32))
                           for _ in range(self.random.randrange(1, 9)))
        if kind < 0.9:
            return "".join(self.random.choices(CHARACTERS,
                                               k=self.random.randrange(1, 20)))
        if kind < 0.901:
            return "x\0y"
        if kind < 0.904:
            return "y" * self.random.choice([16383, 16384])
        return "x" * self.random.choice([127, 128, 129, 300])

    def message(self, kind):
        """A message as a program would make it."""
        message = kind()
        for field in kind.DESCRIPTOR.fields:
            if self.odds(0.3):
                continue
            if is_map(field):
                key = field.message_type.fields_by_name["key"]
                for _ in range(self.random.choice([0, 1, 2, 3, 8])):
                    value = getattr(message, field.name)[
                        self.string() if key.type == key.TYPE_STRING
                        else self.int32()]
                    if self.odds(0.8):
                        value.CopyFrom(self.message(type(value)))
            elif field.type == field.TYPE_MESSAGE:
                value = getattr(message, field.name)
                value.SetInParent()
                if self.odds(0.8):
                    value.CopyFrom(self.message(type(value)))
            elif field.type == field.TYPE_STRING:
                setattr(message, field.name, self.string())
            elif field.type == field.TYPE_INT32:
                setattr(message, field.name, self.int32())
            elif field.type == field.TYPE_FLOAT:
                setattr(message, field.name, self.float32())
            else:
                setattr(message, field.name, self.odds(0.5))
        return message

    # ----------------------------------------------------------------------
    # Unruly bytes
    # ----------------------------------------------------------------------

    def varint(self, value, padding=0.05):
        """A varint, now and then longer than it has to be."""
        value &= 2**64 - 1
        result = bytearray()
        while value >= 0x80:
            result.append(value & 0x7f | 0x80)
            value >>= 7
        result.append(value)
        if self.odds(padding):
            for _ in range(self.random.randrange(1, 4)):
                if len(result) < 10:
                    result[-1] |= 0x80
                    result.append(0)
        return bytes(result)

    def tag(self, number, wire_type):
        tag = self.varint(number << 3 | wire_type, padding=0.03)
        if self.odds(0.0002) and len(tag) < 5:       # bits beyond the 32nd
            tag = tag[:-1] + bytes([tag[-1] | 0x80])
            tag += b"\x80" * (4 - len(tag)) + b"\x10"
        return tag

    def raw(self, number, wire_type, depth=0):
        """A field of that number in any wire type."""
        result = self.tag(number, wire_type)
        if wire_type == VARINT:
            return result + self.varint(self.random.choice(VARINTS))
        if wire_type == FIXED64:
            return result + self.random.randbytes(8)
        if wire_type == FIXED32:
            return result + self.random.randbytes(4)
        if wire_type == BYTES:
            data = self.random.choice([b"", b"ab", b"\x08\x01", b"\x0a\x01x",
                                       self.random.randbytes(5)])
            return result + self.varint(len(data)) + data
        return (result + b"".join(self.unknown(depth + 1) for _ in
                                  range(self.random.randrange(3)))
                + self.tag(number, END_GROUP))

    def unknown(self, depth=0):
        wire_types = [VARINT, FIXED64, BYTES, FIXED32]
        return self.raw(self.random.choice(NUMBERS), self.random.choice(
            wire_types + [GROUP] if depth < 3 else wire_types), depth)

    def unruly(self, descriptor, entry=False):
        """Bytes that no program writes and every parser must read.

        Fields absent, repeated, in any order and wire type; keys of maps from
        so few that they meet; values with bits that do not count.
        """
        parts = []
        for field in descriptor.fields:
            times = self.random.choice([0, 1, 2, 3, 6] if is_map(field)
                                       else [0, 1, 1, 1, 1, 2, 3])
            for _ in range(times):
                if self.odds(0.04):
                    parts.append(self.raw(field.number, self.random.choice(
                        [VARINT, FIXED64, BYTES, GROUP, FIXED32])))
                elif field.type == field.TYPE_MESSAGE:
                    data = self.unruly(field.message_type, is_map(field))
                    parts.append(self.tag(field.number, BYTES)
                                 + self.varint(len(data)) + data)
                elif field.type == field.TYPE_STRING:
                    data = (self.random.choice(["", "a", "b", "ab"]) if entry
                            else self.string()).encode()
                    parts.append(self.tag(field.number, BYTES)
                                 + self.varint(len(data)) + data)
                elif field.type == field.TYPE_INT32:
                    value = (self.random.choice([0, 1, 2, -1, 3]) if entry
                             else self.int32())
                    if self.odds(0.1):
                        value = self.random.choice([2**32 + 1, 2**63, 2**33,
                                                    -2**40])
                    if self.odds(0.1):
                        value &= 0xffffffff
                    parts.append(self.tag(field.number, VARINT)
                                 + self.varint(value))
                elif field.type == field.TYPE_BOOL:
                    parts.append(self.tag(field.number, VARINT) + self.varint(
                        self.random.choice([0, 1, 1, 2, 300, 2**32, 2**63])))
                else:
                    parts.append(self.tag(field.number, FIXED32)
                                 + struct.pack("<f", self.float32()))
        if self.odds(0.2):
            parts.append(self.unknown())
        if self.odds(0.3):
            self.random.shuffle(parts)
        if self.odds(0.003) and not entry:
            parts.append(self.random.choice([b"\0", b"\x0c"]))
        return b"".join(parts)

    def tamper(self, descriptor, data):
        """A message that is canonical but in one place."""
        parts = split(data)
        if not parts:
            return self.unknown()
        at = self.random.randrange(len(parts))
        tag, tag_end = read_varint(parts[at], 0)
        field = descriptor.fields_by_number[tag >> 3]
        if field.type == field.TYPE_MESSAGE and self.odds(0.5):
            _, size_end = read_varint(parts[at], tag_end)
            inner = self.tamper(field.message_type, parts[at][size_end:])
            parts[at] = (parts[at][:tag_end] + self.varint(len(inner), 0)
                         + inner)
            return b"".join(parts)
        kind = self.random.randrange(5)
        if kind == 0:
            parts.insert(at, parts[at])
        elif kind == 1:
            parts.insert(self.random.randrange(len(parts)), parts.pop(at))
        elif kind == 2:
            parts.insert(at, self.unknown())
        elif kind == 3:
            parts[at] = self.varint(tag, 1) + parts[at][tag_end:]
        else:
            del parts[at]
        return b"".join(parts)

    def damage(self, data):
        """Flip, cut, insert, repeat, remove, overwrite."""
        data = bytearray(data)
        for _ in range(self.random.choice([1, 1, 1, 2, 4])):
            size = len(data)
            at = self.random.randrange(size) if size else 0
            kind = self.random.randrange(6)
            if kind == 2:
                at = self.random.randrange(size + 1)
                data[at:at] = self.random.randbytes(
                    self.random.randrange(1, 4))
            elif not size:
                pass
            elif kind == 0:
                data[at] ^= 1 << self.random.randrange(8)
            elif kind == 1:
                del data[at:]
            elif kind == 3:
                part = data[at:self.random.randrange(at, size) + 1]
                to = self.random.randrange(size + 1)
                data[to:to] = part
            elif kind == 4:
                del data[at:at + self.random.randrange(1, 4)]
            else:
                data[at] = self.random.choice([0, 0x80, 0xff, 0x7f, 0xc0,
                                               0xed, 0xf4])
        return bytes(data)

    def bytes_of(self, kind):
        """Bytes of some sort, and which."""
        sort = self.random.choice(["made", "tampered", "damaged", "unruly",
                                   "unruly and damaged"])
        if "unruly" in sort:
            data = self.unruly(kind.DESCRIPTOR)
        else:
            data = self.message(kind).SerializeToString(deterministic=True)
        if sort == "tampered":
            data = self.tamper(kind.DESCRIPTOR, data)
        return sort, self.damage(data) if "damaged" in sort else data

    # ----------------------------------------------------------------------
    # Unruly texts
    # ----------------------------------------------------------------------

    def space(self):
        if self.odds(0.9):
            return ""
        return self.random.choice([" ", "\n", "\t", "\r", "  \n"])

    def quote(self, string):
        """A JSON string, its characters escaped or not."""
        text = json.dumps(string, ensure_ascii=self.odds(0.5))
        if self.odds(0.05) and string and ord(string[0]) < 0x10000:
            text = f'"\\u{ord(string[0]):04X}' + json.dumps(string[1:])[1:]
        return text

    def number(self, value):
        """A number, spelled in one of many ways, some of them wrong."""
        text = json.dumps(value)
        if self.odds(0.95):
            return text
        text = self.random.choice([
            text, text + ".0", text + "e0", text + "E+1", text + "0e-1",
            "0" + text, "+" + text, "-0", text + ".", "." + text, text + " ",
            text + "\t", "1_0", "1e", "0x1", "\u0661", "1e400", "1e-400",
            "3.4028236e38", "3.4028235e38", "-1e39", "2147483648", "inf",
            "nan", "NaN", "-Infinity", "true", "null", "[]", "{}", ""])
        return f'"{text}"' if self.odds(0.5) else text

    def text(self, descriptor, message):
        """The JSON of a message, spelled in a strange way."""
        members = []
        for field in descriptor.fields:
            name = self.random.choice([field.name, field.json_name])
            if field.type == field.TYPE_MESSAGE and not is_map(field):
                if not message.HasField(field.name):
                    continue
                value = self.text(field.message_type,
                                  getattr(message, field.name))
            elif is_map(field):
                values = getattr(message, field.name)
                if not values and self.odds(0.5):
                    continue
                entries = []
                for key in sorted(values):
                    spelled = key if isinstance(key, str) else str(key)
                    if not isinstance(key, str) and self.odds(0.02):
                        spelled = self.random.choice(
                            ["0" + spelled, "+" + spelled, spelled + ".0",
                             "1_0", " 1", "\n1", "-0", "2147483648"])
                    entries.append(self.quote(spelled) + ":" + self.text(
                        field.message_type.fields_by_name["value"]
                        .message_type, values[key]))
                value = "{" + ",".join(entries) + "}"
            else:
                value = getattr(message, field.name)
                if not value and self.odds(0.5):
                    continue
                if isinstance(value, str):
                    value = self.quote(value)
                elif isinstance(value, bool):
                    value = json.dumps(value)
                elif value != value or value in (float("inf"), float("-inf")):
                    value = json.dumps(json.dumps(value))
                else:
                    value = self.number(value)
            if self.odds(0.01):
                value = self.random.choice(["null", "true", '""', "[]", "{}",
                                            "1", '"x"', "NaN"])
            members.append(f"{self.space()}{self.quote(name)}{self.space()}:"
                           f"{self.space()}{value}{self.space()}")
            if self.odds(0.003):
                members.append(f'"{self.random.choice([field.name, "x"])}":'
                               "null")
        if self.odds(0.3):
            self.random.shuffle(members)
        return "{" + ",".join(members) + "}"


# ---------------------------------------------------------------------------
# Which rule decides
# ---------------------------------------------------------------------------

NUL = "text in PostgreSQL cannot hold U+0000"
MINUS_ZERO = "a float of -0 is minus zero, also without a point"


def wire_walk(descriptor, data, at, group):
    """Read fields up to the end, or to that of the group of that number."""
    while at < len(data):
        tag, after = read_varint(data, at)
        if after - at > 5 or tag >= 2**32:
            raise Rule("a tag has 32 bits")
        at = after
        number, wire_type = tag >> 3, tag & 7
        field = descriptor and descriptor.fields_by_number.get(number)
        if number == 0:
            raise Rule("no field has number 0")
        if wire_type == END_GROUP:
            if number != group:
                raise Rule("only a group that began ends")
            return at
        if wire_type == GROUP:
            at = wire_walk(None, data, at, number)
        elif wire_type == VARINT:
            _, at = read_varint(data, at)
        elif wire_type == BYTES:
            size, at = read_varint(data, at)
            part = data[at:at + size]
            at += size
            if field and field.type == field.TYPE_STRING and b"\0" in part:
                raise Rule(NUL)
            if field and field.type == field.TYPE_MESSAGE:
                wire_walk(field.message_type, part, 0, None)
        else:
            at += 8 if wire_type == FIXED64 else 4
    return at


def wire_rule(descriptor, data):
    """The rule that refuses bytes which the other implementation takes.

    It drops the upper bits of a tag, and stores any character.
    """
    try:
        wire_walk(descriptor, data, 0, None)
    except Rule as rule:
        return str(rule)
    return None


class JsonRule:
    """The rule by which a JSON text is refused or read.

    The other implementation converts strings with int() and float(), which
    take what JSON does not have (01, +1, 1_0, spaces, other digits) and leave
    out what ProtoJSON has (an exponent of an int32), takes true for 1.0, and
    rounds a whole number to a float before it looks at it.  It iterates over
    what should be an object, so that [] and "" are one.  It takes a field by
    both its names, and a key of a map by several spellings.  It compares a
    float with the largest one before it rounds, and reads -0 as an integer.
    """

    NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
    KEY = re.compile(r"-?(0|[1-9][0-9]*)")

    class Literal(str):
        """A number or a word, as it stands in the text."""

    class Members(list):
        """The members of an object, in order."""

    def __init__(self, descriptor, text):
        self.refused = None     # the rule by which the text is none
        self.taken = None       # the rule by which it is one nevertheless
        try:
            value = json.loads(text, object_pairs_hook=self.Members,
                               parse_int=self.Literal,
                               parse_float=self.Literal,
                               parse_constant=self.Literal)
            self.message(descriptor, value)
        except Rule as rule:
            self.refused = str(rule)
        except ValueError:
            self.refused = "JSON"

    def message(self, descriptor, value):
        if not isinstance(value, self.Members):
            raise Rule("a message is an object")
        seen = []
        for name, member in value:
            if "\0" in name:
                raise Rule(NUL)
            for field in descriptor.fields:
                if name in (field.name, field.json_name):
                    break
            else:
                raise Rule("a member has one of the two names of a field")
            if field.name in seen:
                raise Rule("a field occurs once, by either of its names")
            seen.append(field.name)
            if member is None:
                pass
            elif is_map(field):
                self.map(field, member)
            else:
                self.value(field, member)

    def map(self, field, value):
        if not isinstance(value, self.Members):
            raise Rule("a map is an object")
        key_field = field.message_type.fields_by_name["key"]
        seen = []
        for key, member in value:
            if "\0" in key:
                raise Rule(NUL)
            if key_field.type != key_field.TYPE_STRING:
                if not self.KEY.fullmatch(key):
                    raise Rule("a key of a map is spelled as JSON spells it")
                key = int(key)
                if not -2**31 <= key < 2**31:
                    raise Rule("a key of a map is an int32")
            if key in seen:
                raise Rule("a key of a map occurs once")
            seen.append(key)
            self.value(field.message_type.fields_by_name["value"], member)

    def value(self, field, value):
        quoted = type(value) is str
        if field.type == field.TYPE_MESSAGE:
            self.message(field.message_type, value)
        elif field.type == field.TYPE_STRING:
            if not quoted:
                raise Rule("a string is a string")
            if "\0" in value:
                raise Rule(NUL)
        elif field.type == field.TYPE_BOOL:
            if not isinstance(value, bool):
                raise Rule("a bool is true or false")
        elif not isinstance(value, str):
            raise Rule("a number is neither true nor false")
        elif field.type == field.TYPE_INT32:
            self.int32(value, quoted)
        else:
            self.float32(value, quoted)

    def int32(self, value, quoted):
        match = self.NUMBER.fullmatch(value)
        if not match:
            raise Rule("a number is spelled as JSON spells it")
        # No number of the test is so long that this could be slow.
        exponent = int((match[3] or "e0")[1:])
        digits = match[1] + (match[2] or ".")[1:]
        exponent -= len(digits) - len(match[1])
        whole, rest = digits, ""
        if exponent < 0:
            whole, rest = digits[:exponent] or "0", digits[exponent:]
            if len(digits) < -exponent:
                rest = digits
        elif digits.strip("0"):
            whole = digits + "0" * min(exponent, 20)
        if rest.strip("0"):
            raise Rule("an int32 is whole, before it is rounded")
        if not -2**31 <= int("-0"[value[0] != "-"] + whole) < 2**31:
            raise Rule("an int32 has 32 bits")
        if quoted and (match[2] or match[3]):
            self.taken = "an int32 in a string may have a point or an exponent"

    def float32(self, value, quoted):
        if quoted and value in ("NaN", "Infinity", "-Infinity"):
            return
        if not self.NUMBER.fullmatch(value):
            raise Rule("a number is spelled as JSON spells it")
        try:
            struct.pack("<f", float(value))
        except OverflowError:
            raise Rule("a float that overflows is an error") from None
        if float(value) in (float("inf"), float("-inf")):
            raise Rule("a float that overflows is an error")
        if value == "-0" and not quoted:
            self.taken = MINUS_ZERO
        if abs(float(value)) > struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]:
            self.taken = "what rounds to the largest float is a float"


# ---------------------------------------------------------------------------
# Comparing
# ---------------------------------------------------------------------------

def settle(message):
    """Make a parsed message forget in which order its bytes came.

    The other implementation keeps the entries of a parsed map as they stood,
    also those that a later one with the same key replaces, until somebody
    looks at the map.
    """
    for field in message.DESCRIPTOR.fields:
        if is_map(field):
            values = getattr(message, field.name)
            for key in list(values):
                settle(values[key])
        elif field.type == field.TYPE_MESSAGE and message.HasField(field.name):
            settle(getattr(message, field.name))


def plain(message):
    """The bytes of what JSON can say: known fields, and one kind of NaN."""
    copy = type(message)()
    copy.CopyFrom(message)
    copy.DiscardUnknownFields()

    def one_nan(message):
        for field, value in message.ListFields():
            if is_map(field):
                for key in list(value):
                    one_nan(value[key])
            elif field.type == field.TYPE_MESSAGE:
                one_nan(value)
            elif value != value:
                setattr(message, field.name, float("nan"))
    one_nan(copy)
    return copy.SerializeToString(deterministic=True)


def same(ours, theirs):
    """Are two JSON values equal?  Floats are, if they are as float32."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return (sorted(ours) == sorted(theirs)
                and all(same(ours[k], theirs[k]) for k in ours))
    if isinstance(ours, float) or isinstance(theirs, float):
        return (type(ours) in (int, float) and type(theirs) in (int, float)
                and struct.pack("<f", ours) == struct.pack("<f", theirs))
    return type(ours) is type(theirs) and ours == theirs


class Case:
    """One message: its bytes, its texts, and what the other makes of them."""

    def __init__(self, seed, number, kinds):
        maker = Maker(f"{seed}/{number}")
        # Half of all messages are of the type that has the maps.
        self.number = number
        self.kind = (kinds[number % len(kinds)] if number % 2
                     else next(k for k in kinds
                               if k.DESCRIPTOR.name == "ChargePointState"))
        self.name = self.kind.DESCRIPTOR.name
        self.sort, self.bytes = maker.bytes_of(self.kind)
        self.message = self.parse(self.bytes)
        self.json = None
        if self.message is not None:
            settle(self.message)
            self.json = json_format.MessageToJson(self.message,
                                                  sort_keys=True)
            if "\\u0000" in self.json:      # then the server has refused it
                self.json = None
        text = maker.text(self.kind.DESCRIPTOR, self.message
                          if self.message is not None and maker.odds(0.5)
                          else maker.message(self.kind)).encode()
        self.text = maker.damage(text) if maker.odds(0.3) else text
        self.text_message = self.parse_text(self.text)

    def parse(self, data):
        message = self.kind()
        try:
            # "Not all data was converted", it says, and returns
            with warnings.catch_warnings(record=True) as caught:
                message.ParseFromString(data)
        except DecodeError:
            return None
        return None if caught else message

    def parse_text(self, text):
        try:
            return json_format.Parse(text.decode(), self.kind())
        except (json_format.ParseError, UnicodeDecodeError,
                RecursionError, TypeError):
            return None

    def text_of_any(self):
        """The text with the type in it, as it is the text of the SQL type."""
        head, brace, tail = self.text.partition(b"{")
        if head.strip(b" \t\r\n") or not brace:
            return self.text
        comma = b"" if tail.lstrip(b" \t\r\n")[:1] == b"}" else b","
        return head + b'{"@type":"' + self.name.encode() + b'"' + comma + tail


class Comparison:
    """What was compared, how it came out, and where it should not have."""

    def __init__(self):
        self.types = collections.Counter()
        self.sorts = collections.Counter()
        self.wire = collections.Counter()
        self.texts = collections.Counter()
        self.rules = collections.Counter()
        self.differences = []

    def differ(self, case, what, *details):
        self.differences.append((case.number, case.name, what) + details)

    def wire_of(self, case, answer):
        """The bytes: taken or not, and what they say."""
        if answer.decoded != answer.ok:
            self.differ(case, "validate() and try_decode()",
                        case.bytes.hex(), answer.detail)
        if answer.ok != (case.message is not None):
            rule = None
            if not answer.ok:
                rule = wire_rule(case.kind.DESCRIPTOR, case.bytes)
            if rule is None:
                self.differ(case, "taken" if answer.ok else "refused",
                            case.bytes.hex(), answer.detail)
            self.rules[f"bytes: {rule}"] += 1
            self.wire["decided by a rule"] += 1
            return
        if not answer.ok:
            self.wire["refused by both"] += 1
            return
        self.wire["taken by both"] += 1
        bytes_ = case.message.SerializeToString(deterministic=True)
        if bytes_ != case.bytes:
            self.wire["made canonical"] += 1
        if bytes(answer.wire) != bytes_:
            self.differ(case, "canonical bytes", case.bytes.hex(),
                        bytes(answer.wire).hex(), bytes_.hex())
        if answer.wire != answer.again:
            self.differ(case, "canonical bytes of canonical bytes",
                        case.bytes.hex(), bytes(answer.wire).hex())
        for text, defaults, names in ((answer.json, False, False),
                                      (answer.defaults, True, False),
                                      (answer.names, False, True)):
            theirs = json_format.MessageToDict(
                case.message, including_default_value_fields=defaults,
                preserving_proto_field_name=names)
            if not same(json.loads(text), theirs):
                self.differ(case, "JSON", case.bytes.hex(), text,
                            json.dumps(theirs))
        known = plain(case.message)
        for back in (answer.back, answer.back_defaults, answer.back_names,
                     answer.py_back):
            if bytes(back) != known:
                self.differ(case, "bytes of JSON", case.json,
                            bytes(back).hex(), known.hex())
        # and the other way: they read what the server writes
        message = case.parse_text(answer.json.encode())
        if message is not None:
            if message.SerializeToString(deterministic=True) != known:
                self.differ(case, "JSON as the other reads it", answer.json)
        elif JsonRule(case.kind.DESCRIPTOR, answer.json).taken is None:
            self.differ(case, "JSON that the other refuses", answer.json)

    def text_of(self, case, answer):
        """The text: taken or not, and what it says."""
        if answer.odd_wire != answer.any_wire:
            self.differ(case, "from_json() and the text of the type",
                        case.text, answer.odd_fault, answer.any_fault)
        taken = answer.odd_wire is not None
        if taken != (case.text_message is not None):
            rule = JsonRule(case.kind.DESCRIPTOR,
                            case.text.decode(errors="replace"))
            if taken and not rule.refused and rule.taken:
                self.rules[f"text: {rule.taken}"] += 1
            elif not taken and rule.refused:
                self.rules[f"text: {rule.refused}"] += 1
            else:
                self.differ(case, "text is " + ("taken" if taken
                                                else "refused"),
                            case.text, answer.odd_fault, rule.refused)
            self.texts["decided by a rule"] += 1
        elif not taken:
            self.texts["refused by both"] += 1
        else:
            self.texts["taken by both"] += 1
            theirs = case.text_message.SerializeToString(deterministic=True)
            if bytes(answer.odd_wire) == theirs:
                return
            rule = JsonRule(case.kind.DESCRIPTOR, case.text.decode())
            if rule.taken == MINUS_ZERO:
                self.rules[f"text: {rule.taken}"] += 1
            else:
                self.differ(case, "bytes of a text", case.text,
                            bytes(answer.odd_wire).hex(), theirs.hex())

    def batch(self, cursor, cases):
        cursor.execute(QUESTIONS, (
            [c.name for c in cases],
            [psycopg2.Binary(c.bytes) for c in cases],
            [c.json for c in cases],
            [psycopg2.Binary(c.text) for c in cases],
            [psycopg2.Binary(c.text_of_any()) for c in cases]))
        Answer = collections.namedtuple(
            "Answer", [column.name for column in cursor.description])
        for case, row in zip(cases, cursor.fetchall(), strict=True):
            answer = Answer(*[bytes(v) if isinstance(v, memoryview) else v
                              for v in row])
            self.types[case.name] += 1
            self.sorts[case.sort] += 1
            self.wire_of(case, answer)
            self.text_of(case, answer)

    def show(self, shown):
        for title, counter in (("messages", self.types),
                               ("messages", self.sorts),
                               ("bytes", self.wire),
                               ("texts", self.texts)):
            for name in sorted(counter):
                print(f"{title} {name}: {counter[name]}")
        for rule in sorted(self.rules):
            print(f"rule for {rule}: {self.rules[rule]}")
        for difference in self.differences[:shown]:
            print("-- message {} of type {}: {}".format(*difference))
            for detail in difference[3:]:
                print(f"   {detail}")
        print(f"differences: {len(self.differences)}")


def quiet_library():
    """Keep the C++ library from writing each string that is not UTF-8."""
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="Fails if there is a difference that no rule decides.")
    parser.add_argument("--dsn", default="", help="of the database")
    parser.add_argument("--messages", type=int, default=20000, metavar="N")
    parser.add_argument("--seed", type=int, help="random without it")
    parser.add_argument("--only", type=int, metavar="N",
                        help="only message N of the seed")
    parser.add_argument("--show", type=int, default=10, metavar="N",
                        help="differences to show")
    options = parser.parse_args()
    if api_implementation.Type() != "cpp":
        sys.exit("python3-protobuf is without Google's C++ implementation")
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1000000)

    gateway = messages.load()
    kinds = [getattr(gateway, name) for name in
             gateway.DESCRIPTOR.message_types_by_name]
    print(f"seed: {options.seed}", flush=True)
    quiet_library()
    warnings.simplefilter("always")

    numbers = (range(options.messages) if options.only is None
               else [options.only])
    comparison = Comparison()
    with psycopg2.connect(options.dsn) as connection:
        connection.set_client_encoding("UTF8")
        with connection.cursor() as cursor:
            cursor.execute(READERS)
            for start in range(0, len(numbers), BATCH):
                comparison.batch(cursor, [
                    Case(options.seed, number, kinds)
                    for number in numbers[start:start + BATCH]])
    comparison.show(options.show)
    return 1 if comparison.differences else 0


if __name__ == "__main__":
    sys.exit(main())
