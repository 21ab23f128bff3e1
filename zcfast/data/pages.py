"""What a Parquet file becomes in memory, by its footer and by the headers of its pages, whichever says more.

pyarrow allocates what the headers of pages say, and some damaged footers end the process that asks it for their sizes.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

NUMBER = 8  # bytes at most
PAGE = 1 << 12  # bytes that a page is counted with besides, so that there are not too many to look at
DELTA_BYTE_ARRAY = 7  # texts that repeat others: a page of one length can have texts of any

# Kinds of values of Thrift's compact protocol. A field of another kind than expected is none, to Thrift and here.
TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, _, STRUCT = range(1, 13)
DEEPEST = 8

# Fields of FileMetaData, RowGroup, ColumnChunk, ColumnMetaData and PageHeader: their kinds and numbers.
FILE_ROWS, GROUPS = (I64, 3), (LIST, 4)
COLUMNS, GROUP_ROWS = (LIST, 1), (I64, 3)
COLUMN = STRUCT, 3
COLUMN_VALUES, COLUMN_BYTES, FIRST_PAGE, FIRST_DICTIONARY = (I64, 5), (I64, 7), (I64, 9), (I64, 11)
UNPACKED, PACKED = (I32, 2), (I32, 3)
PAGE_KINDS = {(STRUCT, 5): (I32, 2), (STRUCT, 8): (I32, 4), (STRUCT, 7): (I32, 2)}  # and where their encoding is
PAGE_VALUES = I32, 1


def sizes(content: mmap.mmap) -> Iterator[int]:
    """Bytes that one part of a file after another becomes. Errors: any, of a damaged file."""
    end = len(content) - 8
    footer, _ = _struct(content, end - int.from_bytes(content[end : end + 4], "little"), DEEPEST)
    for group in footer.get(GROUPS, []):
        rows = max(_count(footer, FILE_ROWS), _count(group, GROUP_ROWS))
        for chunk in group[COLUMNS]:
            column = chunk[COLUMN]
            yield NUMBER * max(rows, _count(column, COLUMN_VALUES))
            yield from _pages(content, column)


def _pages(content: mmap.mmap, column: dict[Any, Any]) -> Iterator[int]:
    """Bytes that each page of a column becomes."""
    at, dictionary = _count(column, FIRST_PAGE), column.get(FIRST_DICTIONARY, 0)
    at = dictionary if 0 < dictionary < at else at
    end = at + (_count(column, COLUMN_BYTES) if column[COLUMN_VALUES] else 0)  # one without values has no place
    while at < end:
        header, at = _struct(content, at, DEEPEST)
        values = 0
        for kind, encoding in PAGE_KINDS.items():
            about = header.get(kind, {})
            values = max(values, about.get(PAGE_VALUES, 0))
            if about.get(encoding) == DELTA_BYTE_ARRAY:
                raise ValueError("expected texts that are written whole, got some that repeat the ones before")
        yield PAGE + _count(header, UNPACKED) + NUMBER * values
        at += _count(header, PACKED)


def _count(fields: dict[Any, Any], field: tuple[int, int]) -> int:
    value: int = fields[field]
    if value < 0:
        raise ValueError(f"expected sizes from 0 on, got {value}")
    return value


def _struct(content: mmap.mmap, at: int, depth: int) -> tuple[dict[tuple[int, int], Any], int]:
    """The fields of a struct by kind and number, and where it ends."""
    if not depth:
        raise ValueError("expected fewer structs in another")
    fields: dict[tuple[int, int], Any] = {}
    number = 0
    while head := content[at]:
        step, kind = divmod(head, 16)
        if step:
            number, at = number + step, at + 1
        else:
            number, at = _integer(content, at + 1)
        if kind in (TRUE, FALSE):
            continue
        fields[kind, number], at = _value(content, at, kind, depth)
    return fields, at + 1


def _value(content: mmap.mmap, at: int, kind: int, depth: int) -> tuple[Any, int]:
    """A value that does not stand in the head of its field; None for those of which only the length matters here."""
    if kind in (I16, I32, I64):
        return _integer(content, at)
    if kind == BINARY:
        length, at = _unsigned(content, at)
        return None, at + length
    if kind == STRUCT:
        return _struct(content, at, depth - 1)
    if kind in (LIST, SET):
        return _list(content, at, depth)
    if kind in (TRUE, FALSE, BYTE, DOUBLE):
        return None, at + (NUMBER if kind == DOUBLE else 1)
    raise ValueError("expected the fields of a footer or of a page, got other bytes")


def _list(content: mmap.mmap, at: int, depth: int) -> tuple[list[Any], int]:
    length, kind = divmod(content[at], 16)
    at += 1
    if length == 15:
        length, at = _unsigned(content, at)
    values = []
    for _ in range(length):
        value, at = _value(content, at, kind, depth)
        values.append(value)
    return values, at


def _integer(content: mmap.mmap, at: int) -> tuple[int, int]:
    value, at = _unsigned(content, at)
    return value >> 1 ^ -(value & 1), at


def _unsigned(content: mmap.mmap, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        byte = content[at + place]
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    raise ValueError("expected a number of at most 64 bits, got more")
