"""Ways to damage a file."""

import bz2
import gzip
import io
import random
import re
import struct
import zipfile
from collections.abc import Callable

import pyarrow
from pyarrow import parquet

from tests.tables.writers import crc32c, tfrecord

SEAL = b"_crc32c"  # ends the key of a header's checksum

# `others` are the contents of other files.


def flip(content: bytearray, chance: random.Random, others: list[bytes]) -> bytes:
    for _ in range(chance.choice((1, 1, 1, 3, 20))):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return content


def overwrite(content: bytearray, chance: random.Random, others: list[bytes]) -> bytes:
    start, length = chance.randrange(len(content)), chance.choice((1, 2, 4, 8, 64))
    content[start : start + length] = chance.choice((b"\0", b"\xff", chance.randbytes(1))) * length
    return content


def head(content: bytearray, chance: random.Random, others: list[bytes]) -> bytes:
    content[chance.randrange(min(64, len(content)))] = chance.randrange(256)
    return content


def tail(content: bytearray, chance: random.Random, others: list[bytes]) -> bytes:
    content[-1 - chance.randrange(min(600, len(content)))] = chance.randrange(256)
    return content


def truncate(content: bytearray, chance: random.Random, others: list[bytes]) -> bytes:
    return content[: chance.randrange(len(content))]


def cut(content: bytearray, chance: random.Random, others: list[bytes]) -> bytes:
    start = chance.randrange(len(content))
    return content[:start] + content[start + 1 + chance.randrange(100) :]


def repeat(content: bytearray, chance: random.Random, others: list[bytes]) -> bytes:
    start, length = chance.randrange(len(content)), 1 + chance.randrange(200)
    return content[:start] + content[start : start + length] * chance.choice((2, 3, 100, 5000)) + content[start:]


def splice(content: bytearray, chance: random.Random, others: list[bytes]) -> bytes:
    other = chance.choice(others)
    return content[: chance.randrange(len(content))] + other[chance.randrange(len(other)) :]


def append(content: bytearray, chance: random.Random, others: list[bytes]) -> bytes:
    return content + chance.choice((chance.choice(others), b"\0", b"\n", chance.randbytes(9)))


def swap(content: bytearray, chance: random.Random, others: list[bytes]) -> bytes:
    first, second, third = sorted(chance.randrange(len(content)) for _ in range(3))
    return content[:first] + content[second:third] + content[first:second] + content[third:]


def empty(content: bytearray, chance: random.Random, others: list[bytes]) -> bytes:
    return b""


def another(content: bytearray, chance: random.Random, others: list[bytes]) -> bytes:
    return chance.choice(others)


def numerals(content: bytearray, chance: random.Random, others: list[bytes]) -> bytes:
    """Another number in place of one that is written in digits."""
    places = [found.span() for found in re.finditer(rb"[0-9.]+", content)]
    start, end = chance.choice(places) if places else (0, 0)
    number = (b"-1", b"NaN", b"1e999", b"-inf", b"9" * 5000, b"99999999999", b"0.5", b"true", b"null", b'"', b"[]", b"")
    return content[:start] + chance.choice(number) + content[end:]


BLIND = (flip, overwrite, head, tail, truncate, cut, repeat, splice, append, swap, empty, another, numerals)


def damaged(content: bytes, chance: random.Random, others: list[bytes]) -> tuple[bytes, bool]:
    """The bytes with one or more damages, and whether a checksum of theirs can show it."""
    inside = repacked(content, chance, others) if chance.random() < 0.4 else None
    if inside is not None:
        return inside, False
    own = True
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        way = chance.choice(BLIND)
        content = bytes(way(bytearray(content), chance, others)) if content else b"\0"
        own &= way not in (splice, another)
    return content, own


def repacked(content: bytes, chance: random.Random, others: list[bytes]) -> bytes | None:
    """Damage that no checksum of a packing shows; None for bytes that are not packed."""
    damage = lambda part: damaged(part, chance, others)[0]  # noqa: E731
    if content.startswith(b"BZh"):
        return bz2.compress(damage(bz2.decompress(content)))
    if content.startswith(b"\x1f\x8b"):
        return gzip.compress(damage(gzip.decompress(content)))
    if content.startswith(b"PK"):
        return _zip_with(content, chance, damage)
    if content.startswith(b"PAR1"):
        return _parquet_with(content, chance, damage)
    if content[:12].startswith(b"\0") or len(content) < 12:
        return None
    return _tfrecord_with(content, damage)


def _zip_with(content: bytes, chance: random.Random, damage: Callable[[bytes], bytes]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice([*entries])
    entries[name] = damage(entries[name])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, entry in entries.items():
            archive.writestr(name, entry)
    return buffer.getvalue()


def _parquet_with(content: bytes, chance: random.Random, damage: Callable[[bytes], bytes]) -> bytes:
    """Another header under a right checksum, or other columns."""
    table = parquet.read_table(io.BytesIO(content))
    metadata = dict(table.schema.metadata or {})
    keys = [key for key in metadata if not key.endswith(SEAL) and not key.startswith(b"ARROW")]
    if keys and chance.random() < 0.6:
        text = damage(metadata[keys[0]])
        metadata = {keys[0]: text, keys[0] + SEAL: b"%08x" % crc32c(text)}
    else:
        place = chance.randrange(table.num_columns)
        column = table.column(place)
        other = chance.choice(
            [pyarrow.nulls(len(column)), column.slice(0, 0), pyarrow.array([[1, 2]] * len(column)),
             pyarrow.array([b"\xff\x1b"] * len(column)), pyarrow.array([2**63] * len(column), pyarrow.uint64()),
             pyarrow.array([float("inf")] * len(column)), pyarrow.array(["\x1b[31m"] * len(column))]
        )  # fmt: skip
        names, columns = table.column_names, table.columns
        if len(other) == len(column):
            table = pyarrow.table([*columns[:place], other, *columns[place + 1 :]], names)
        else:
            table = table.slice(0, 0)
    buffer = io.BytesIO()
    parquet.write_table(table.replace_schema_metadata(metadata), buffer)
    return buffer.getvalue()


def _tfrecord_with(content: bytes, damage: Callable[[bytes], bytes]) -> bytes | None:
    (length,) = struct.unpack("<Q", content[:8])
    if length > len(content):
        return None
    return tfrecord(damage(content[12 : 12 + length])) + content[16 + length :]
