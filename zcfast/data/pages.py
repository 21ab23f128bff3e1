"""Sizes of Parquet's pages by their own headers, which its reader follows whatever the footer says."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

from pyarrow import parquet

DELTA_BYTE_ARRAY = 7  # texts that repeat others: a page of one length can have texts of any

# Fields of the structs of a page header, and the kinds of values that Thrift's compact protocol tells apart.
SIZE_UNPACKED, SIZE_PACKED, PAGE, DICTIONARY, PAGE_2 = 2, 3, 5, 7, 8
VALUES, ENCODING = 1, {PAGE: 2, DICTIONARY: 2, PAGE_2: 4}
TRUE, FALSE, BYTE, INTEGERS, DOUBLE, BINARY, STRUCT = 1, 2, 3, (4, 5, 6), 7, 8, 12


def pages(content: mmap.mmap, chunk: parquet.ColumnChunkMetaData) -> Iterator[tuple[int, int]]:
    """The bytes that each page of a column becomes, and its number of values."""
    at = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < (chunk.dictionary_page_offset or 0) < at:
        at = chunk.dictionary_page_offset
    end = at + (chunk.total_compressed_size if chunk.num_values else 0)  # a column without values has no place
    while at < end:
        header, at = _struct(content, at, depth=3)
        kind = next((kind for kind in (PAGE, PAGE_2, DICTIONARY) if kind in header), None)
        about = {} if kind is None else header[kind]
        unpacked, packed, values = header[SIZE_UNPACKED], header[SIZE_PACKED], about.get(VALUES, 0)
        if min(unpacked, packed, values) < 0 or at + packed > end:
            raise ValueError("expected pages of a size, got damaged ones")
        if kind is not None and about.get(ENCODING[kind]) == DELTA_BYTE_ARRAY:
            raise ValueError("expected texts that are written whole, got some that repeat the ones before")
        yield unpacked, values
        at += packed


def _struct(content: mmap.mmap, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """The fields of a struct of Thrift's compact protocol, and where it ends."""
    fields: dict[int, Any] = {}
    number = 0
    while head := content[at]:
        at += 1
        step, kind = divmod(head, 16)
        if step:
            number += step
        else:
            number, at = _integer(content, at)
        fields[number], at = _value(content, at, kind, depth)
    return fields, at + 1


def _value(content: mmap.mmap, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (TRUE, FALSE):
        return kind == TRUE, at
    if kind in INTEGERS:
        return _integer(content, at)
    if kind == BINARY:
        length, at = _unsigned(content, at)
        return None, at + length
    if kind == STRUCT and depth:
        return _struct(content, at, depth - 1)
    if kind in (BYTE, DOUBLE):
        return None, at + (1 if kind == BYTE else 8)
    raise ValueError("expected the header of a page, got other bytes")


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
