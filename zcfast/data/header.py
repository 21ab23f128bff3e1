"""The JSON header that our Parquet files carry in the metadata of their schema, with its checksum."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from zcfast import _tables

FORMAT = 2
UNSEALED = 1  # the format of 0.1.0, whose headers may have no checksum
# The key of the header says what a file has.
SCORES, TABLE, TRAJECTORIES = b"zcfast", b"zcfast_table", b"zcfast-trajectory"
_CHECKSUM = b"_crc32c"  # behind the key of the header: the key of eight hexadecimal digits


def sealed(key: bytes, header: Mapping[str, Any]) -> dict[bytes, bytes]:
    """The metadata that hold a header: Parquet leaves them without a checksum."""
    text = json.dumps({"format": FORMAT, **header}).encode()
    return {key: text, key + _CHECKSUM: b"%08x" % _tables.crc32c(text)}


def opened(key: bytes, metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """The header that metadata hold.

    Raises:
        ValueError: there is none, it is damaged or of another format; the message says what came.
    """
    text = metadata.get(key)
    if text is None:
        raise ValueError("got one without its metadata")
    seal = metadata.get(key + _CHECKSUM)
    if seal is not None and seal != b"%08x" % _tables.crc32c(text):
        raise ValueError("got a damaged one: the checksum of its header does not match")
    try:
        header = json.loads(text)
    except Exception as error:  # a JSON text may raise more than ValueError
        raise ValueError("got one with broken metadata") from error
    if not isinstance(header, dict):
        raise ValueError("got one with broken metadata")
    if header.get("format") not in (UNSEALED, FORMAT):
        raise ValueError(f"in format {FORMAT}, got format {str(header.get('format'))[:20]}")
    if seal is None and header["format"] != UNSEALED:
        raise ValueError("got a damaged one: the checksum of its header is missing")
    return header
