"""The JSON header that our Parquet files carry in the metadata of their schema, with its checksum."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from zcfast import _tables

KEY = b"zcfast"
FORMAT = 3
SCORES, ACCURACIES, TRAJECTORIES = "scores", "accuracies", "trajectories"  # what a file has
_CHECKSUM = b"_crc32c"  # behind the key of the header: the key of eight hexadecimal digits
_UNSEALED = 1  # the format of 0.1.0, whose headers may have no checksum
_BEFORE = {
    KEY: SCORES,
    b"zcfast_table": ACCURACIES,
    b"zcfast-trajectory": TRAJECTORIES,
}  # a key for each, until format 3


def sealed(kind: str, header: Mapping[str, Any]) -> dict[bytes, bytes]:
    """The metadata that hold a header: Parquet leaves them without a checksum."""
    text = json.dumps({"format": FORMAT, "kind": kind, **header}).encode()
    return {KEY: text, KEY + _CHECKSUM: b"%08x" % _tables.crc32c(text)}


def is_ours(metadata: Mapping[bytes, bytes]) -> bool:
    """Whether metadata hold a header, be it damaged."""
    return not _BEFORE.keys().isdisjoint(metadata)


def opened(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """The header that metadata hold, in the present form; its "kind" says what the file has.

    Raises:
        ValueError: there is none, it is damaged or of another format; the message says what came.
    """
    key = next((key for key in _BEFORE if key in metadata), None)
    if key is None:
        raise ValueError("got one without its metadata")
    header = _checked(metadata[key], metadata.get(key + _CHECKSUM))
    return header if header["format"] == FORMAT else _of_before(_BEFORE[key], header)


def _checked(text: bytes, seal: bytes | None) -> dict[str, Any]:
    if seal is not None and seal != b"%08x" % _tables.crc32c(text):
        raise ValueError("got a damaged one: the checksum of its header does not match")
    try:
        header = json.loads(text)
    except Exception as error:  # a JSON text may raise more than ValueError
        raise ValueError("got one with broken metadata") from error
    if not isinstance(header, dict):
        raise ValueError("got one with broken metadata")
    if header.get("format") not in range(_UNSEALED, FORMAT + 1):
        raise ValueError(f"in format {FORMAT}, got format {str(header.get('format'))[:20]!r}")
    if seal is None and header["format"] != _UNSEALED:
        raise ValueError("got a damaged one: the checksum of its header is missing")
    return header


def _of_before(kind: str, header: dict[str, Any]) -> dict[str, Any]:
    """A header of format 1 or 2 in the present form: tables alone had checksums of columns, beside their names."""
    header["kind"] = kind
    if "protocol" in header:
        header["provenance"] = header.pop("protocol")
    if kind == ACCURACIES:
        keys = header.pop("keys")
        checksums = {} if keys is None else {"key": keys}
        for metric in header["metrics"]:
            checksums.update(metric["values"])
            metric["values"] = [label for label, _ in metric["values"]]
        header["checksums"] = checksums
    return header
