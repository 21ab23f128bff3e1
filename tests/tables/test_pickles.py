import bz2
import collections
import contextlib
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zcfast.tables import pickles

CONTENT = {
    "text": "a",
    "numbers": [1, -5, 1 << 40, 0.5, True, None, 300],
    ("cifar10", 777): collections.OrderedDict([(0, 1.5), ("k", b"bytes")]),
    "numpy": [np.float64(2.5), np.int64(-3), np.float32(0.25), np.bool_(True)],
    "tuple": ((), (1, (2, 3))),
    "set": {1, 2},
    "long": "x" * 70_000,
}
READ = {**CONTENT, "set": [1, 2], ("cifar10", 777): {0: 1.5, "k": b"bytes"}, "numpy": [2.5, -3, 0.25, True]}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


def read(path, content: bytes):
    path.write_bytes(content)
    assert pickles.is_pickle(path)
    return pickles.read(path)


def error(path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(ValueError, match="expected a pickle of results") as caught:
        pickles.read(path)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 250
    return message


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_containers_numbers_and_text(path, protocol):
    content = pickle.dumps(CONTENT, protocol=protocol)
    for packed in (content, bz2.compress(content)):
        came = read(path, packed)
        came["set"] = list(came["set"])
        assert came == READ
        assert {type(value) for value in came["numpy"]} == {float, int, bool}


@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_torch_save(path, zipped):
    torch.save(CONTENT, path, _use_new_zipfile_serialization=zipped)
    assert read(path, path.read_bytes())["numbers"] == CONTENT["numbers"]


class Calls:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class Plain:
    pass


@pytest.mark.parametrize(
    ("hostile", "name"),
    [
        (Calls(os.system, "touch hacked"), "posix.system"),
        (Calls(eval, "1"), "builtins.eval"),
        (Plain(), "test_pickles.Plain"),
        (np.zeros(3), "numpy.core.multiarray._reconstruct"),
        (torch.zeros(3), "torch._utils._rebuild_tensor_v2"),
        (collections.defaultdict(list), "collections.defaultdict"),
        (collections.Counter(), "collections.Counter"),
        (len, "builtins.len"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_other_names_are_refused_by_name(path, hostile, name, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = error(path, pickle.dumps({"a": [hostile]}, protocol=protocol))
    message = message.replace("__builtin__", "builtins").replace("numpy._core", "numpy.core")
    assert f"names {name.split('.')[0]}" in message or name.split(".")[-1] in message
    assert "only numbers, text and containers are read" in message
    assert not (tmp_path / "hacked").exists()


def frame(*opcodes: bytes) -> bytes:
    return b"\x80\x04" + b"".join(opcodes) + b"."


@pytest.mark.parametrize(
    ("opcodes", "message"),
    [
        ([b"N", b"r" + (1 << 31 - 1).to_bytes(4, "little")], "an index of the memo beyond"),
        ([b"\x8e" + (1 << 40).to_bytes(8, "little")], "it ends too early"),
        ([b"\x95" + (1 << 40).to_bytes(8, "little")], "a frame longer than the file"),
        ([b"\x96" + (1 << 40).to_bytes(8, "little")], "it ends too early"),
        (
            [b")", b"\x94", *[b"h\x00" * 2 + b"\x86" + b"q\x00"] * 60, b"}", b"h\x00", b"N", b"s"],
            "more than 64 objects",
        ),
        ([b"N", b"\x85" * 100_000], "more than 64 objects"),
        ([b"N", b"h\x03"], "was never put there"),
        ([b"0"], "an opcode that plain data does not need: 48"),
        ([b"s"], "it takes more objects than there are"),
        ([b"(", b"R"], "it takes more objects than there are"),
        ([b"e"], "it ends a collection that it never began"),
        ([b"ccollections"], "it ends too early"),
        ([b"ccollections\nOrderedDict\n", b"K\x01", b"\x85", b"R"], "argument"),
        ([b"cnumpy\ndtype\n", b"\x8c\x02O8", b"K\x00K\x01\x87", b"R"], "the dtype 'O8'"),
        ([b"c_codecs\nencode\n", b"\x8c\x01a\x8c\x03zip", b"\x86", b"R"], "in the encoding 'zip'"),
        ([b"}", b"]", b"N", b"s"], "unhashable"),
        ([b"", b"N"], ""),
    ],
)
def test_hostile_opcodes(path, opcodes, message):
    if not message:
        assert read(path, frame(*opcodes)) is None
    else:
        assert message in error(path, frame(*opcodes))


def test_what_a_pickle_writes_into_a_name_ends_with_it(path):
    write = [b"ccollections\nOrderedDict\n", b"N", b"}", b"\x8c\x0c__defaults__", b")", b"s", b"\x86", b"b", b"."]
    path.write_bytes(frame(*write))
    pickles.read(path)
    assert read(path, pickle.dumps(collections.OrderedDict(a=1))) == {"a": 1}


def test_bombs(path, monkeypatch):
    monkeypatch.setenv("ZCFAST_MEMORY", "1000000")
    content = pickle.dumps("x" * 1_000_000)
    assert "what it unpacks to: expected at most 1,000,000 bytes" in error(path, bz2.compress(content))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", content)
    assert "what it unpacks to: expected at most 1,000,000 bytes" in error(path, path.read_bytes())


@pytest.mark.parametrize("packed", [False, True])
def test_every_truncation_is_noticed(path, packed):
    content = pickle.dumps({**CONTENT, "long": ""}, protocol=4)
    content = bz2.compress(content) if packed else content
    for length in range(4, len(content)):
        error(path, content[:length])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=500)
@given(data=st.data())
def test_flipped_bytes(path, data):
    content = bytearray(pickle.dumps({**CONTENT, "long": ""}, protocol=data.draw(st.sampled_from([2, 4]))))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(2, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(ValueError):
        pickles.read(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=500)
@given(
    st.lists(st.sampled_from([bytes([k]) for k in b"()]}ae ust\x85\x86\x87R\x81\x92bQNK\x94h\x00\x01\x93\x90\x8f."]))
)
def test_any_opcodes(path, opcodes):
    path.write_bytes(frame(*opcodes))
    with contextlib.suppress(ValueError):
        pickles.read(path)
