#!/usr/bin/python3
"""Make a seed corpus and a dictionary for the fuzzer, from the format.

	seeds.py CORPUS DICTIONARY

The corpus is a directory with a file per input: messages of each type as other
programs write them, with a change, as unruly bytes and as JSON, and what grows
most when it is read.  The dictionary holds the names of the format and the words of JSON.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import agreement  # noqa: E402
import messages  # noqa: E402

PER_TYPE = 12
TEXT = 20               # what the first byte of an input adds for a text
STATE = 14              # the number of ChargePointState

WORDS = ["true", "false", "null", "NaN", "Infinity", "-Infinity", "{}", "[]",
         "{\"", "\":", ",\"", "\"\"", "\\u0000", "\\u00e9", "\\ud83d\\ude00",
         "\\ud83d", "\\n", "1e2", "-0.0", "2147483647", "-2147483648",
         "2147483648", "3.4028235e38", "3.4028236e38", "1e-45", "@type",
         "type.googleapis.com/gateway."]


def any_of(name, data):
    """The bytes of google.protobuf.Any."""
    maker = agreement.Maker(0)
    url = b"type.googleapis.com/gateway." + name.encode()
    return b"".join(bytes([tag]) + maker.varint(len(part), 0) + part
                    for tag, part in ((0x0a, url), (0x12, data)))


def inputs(kinds):
    """Each input, one after the other."""
    for number, kind in enumerate(kinds, start=1):
        name = kind.DESCRIPTOR.name
        for i in range(PER_TYPE):
            maker = agreement.Maker(f"{name}/{i}")
            message = maker.message(kind)
            data = message.SerializeToString(deterministic=True)
            text = maker.text(kind.DESCRIPTOR, message).encode()
            yield bytes([number]) + data
            yield bytes([number]) + maker.unruly(kind.DESCRIPTOR)
            yield bytes([number]) + maker.tamper(kind.DESCRIPTOR, data)
            yield bytes([TEXT + number]) + text
            if i == 0:
                yield b"\0" + any_of(name, data)
                yield (bytes([TEXT]) + b'{"x":[{}],"@type":"gateway.'
                       + name.encode() + b'"}')
    for data in (b"\x1a\0", b"\x22\0", b"\x2a\0", b"\x22\x02\x08\x01",
                 b"\x9b\x06\x9c\x06", b"\xa0\x06\x80\x80\0"):
        yield bytes([STATE]) + data * 400
    yield bytes([STATE]) + b"\x9b\x06" * 100 + b"\x9c\x06" * 100
    yield (bytes([TEXT + STATE]) + b'{"x":' + b"[" * 100 + b"]" * 100 + b"}")


def dictionary(kinds):
    """The words of the dictionary, as bytes."""
    words = {word.encode() for word in WORDS}
    for kind in kinds:
        words.add(kind.DESCRIPTOR.name.encode())
        for field in kind.DESCRIPTOR.fields:
            words |= {b'"%s":' % name.encode()
                      for name in (field.name, field.json_name)}
            words |= {bytes([field.number << 3 | wire_type])
                      for wire_type in (0, 1, 2, 3, 4, 5)}
    maker = agreement.Maker(0)
    words |= {maker.varint(value, 0) for value in agreement.VARINTS}
    words |= {maker.varint(value, 0) for value in agreement.INTS}
    return sorted(words)


def main():
    corpus, words = map(pathlib.Path, sys.argv[1:])
    gateway = messages.load()
    kinds = [getattr(gateway, name) for name in
             gateway.DESCRIPTOR.message_types_by_name]
    corpus.mkdir(exist_ok=True)
    for i, data in enumerate(inputs(kinds)):
        (corpus / f"seed-{i:04}").write_bytes(data)
    words.write_text("".join(
        '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'
        for word in dictionary(kinds)))


if __name__ == "__main__":
    main()
