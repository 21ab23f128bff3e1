"""Small files that would become large: each is refused with one line, in little memory and time."""

import bz2
import gzip
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pyarrow
import pytest
import torch
from pyarrow import parquet

from tests.shared import environment
from tests.tables.writers import varint
from zcfast.data.header import TRAJECTORIES, sealed
from zcfast.search import Trajectory

MOST_BYTES, MOST_SECONDS = 1 << 30, 10
SERVER = """
import json, os, resource, sys, time
import torch, zcfast, zcfast.tables, zcfast.scores, zcfast.search, zcfast.images, zcfast.spaces.listing
from pyarrow import csv, parquet

spaces = {name: zcfast.space(name) for name in ("nasbench101", "nasbench201")}
readers = {
    "scores": zcfast.scores.Scores.load,
    "trajectories": zcfast.search.Trajectory.load,
    "images": lambda path: zcfast.images.load_images(path, 1, 0),
    "listing": lambda path: zcfast.spaces.listing.read_architectures(spaces["nasbench201"], path),
}

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

for line in sys.stdin:
    kind, path = json.loads(line)
    if os.fork():
        os.wait()
        continue
    read = readers.get(kind) or (lambda path: zcfast.table(kind, path))
    before, start = peak(), time.process_time()
    try:
        read(path)
        came = ""
    except ValueError as error:
        came = str(error)
    print(json.dumps([came, peak() - before, time.process_time() - start]), flush=True)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """A function of a kind of file and a path: what the reader says, if that is one line, and soon and little."""
    away = {"cwd": tmp_path_factory.mktemp("away"), "env": environment()}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", SERVER], **pipes, **away) as server:

        def read(kind, path) -> str:
            server.stdin.write(json.dumps([kind, str(path)]) + "\n")
            server.stdin.flush()
            came, memory, seconds = json.loads(server.stdout.readline())
            assert came, "it was read"
            assert (memory < MOST_BYTES, seconds < MOST_SECONDS) == (True, True), (came[:200], memory, seconds)
            assert str(path) in came
            assert came.isprintable()
            return came

        yield read


def shared_lists() -> bytes:
    value = []
    for _ in range(40):
        value = [value, value]
    result = {"epochs": value, "eval_acc1es": {}}
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    return pickle.dumps({"200": {"arch_index": 0, "arch_str": text, "all_results": {("cifar10", 777): result}}})


def tuples_of_one_hash() -> bytes:
    return pickle.dumps({(1 << 40, number): 0 for number in range(9)})


def integers_of_one_hash() -> bytes:
    numbers = ((number * (2**61 - 1)).to_bytes(12, "little") for number in range(1, 150_000))
    return b"\x80\x04}(" + b"".join(b"\x8a\x0c" + number + b"K\x00" for number in numbers) + b"u."


def archive(**arrays) -> bytes:
    """An .npz whose arrays are written as they are declared."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def declared(shape, name="vertices") -> bytes:
    """An .npz with an array that has a shape and no content."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(f"{name}.npy", header.getvalue())
    return buffer.getvalue()


def columns_of_csv(count: int) -> bytes:
    return ("index," + ",".join(f"c{number}" for number in range(count)) + "\n0" + ",1" * count + "\n").encode()


def trajectories(shape) -> bytes:
    one = Trajectory("nasbench201", torch.tensor([[3]]), torch.ones(1, 1).double(), torch.ones(1, 1).double())
    path = io.BytesIO()
    header = {"space": one.space, "shape": shape, "provenance": {"algorithm": {"name": "x"}}}
    names = {"run": 0, "training": 1, "row": 3, "objective": 1.0, "report": 1.0, "best_so_far": 1.0}
    table = pyarrow.table({name: [value] for name, value in names.items()})
    parquet.write_table(table.replace_schema_metadata(sealed(TRAJECTORIES, header)), path)
    return path.getvalue()


def rows_of_parquet() -> bytes:
    path = io.BytesIO()
    parquet.write_table(pyarrow.table({"index": np.zeros(200_000_000, np.int8)}), path, compression="zstd")
    return path.getvalue()


def texts_of_parquet() -> bytes:
    """A text of a megabyte, 20,000 times."""
    column = pyarrow.DictionaryArray.from_arrays(np.zeros(20_000, np.int32), ["x" * 1_000_000])
    path = io.BytesIO()
    parquet.write_table(pyarrow.table({"architecture": column, "a": np.zeros(20_000)}), path, store_schema=False)
    return path.getvalue()


def page_of_parquet() -> bytes:
    """A page of 1.2 GB where the footer says 100 KB."""
    content, path = pyarrow.BufferOutputStream(), io.BytesIO()
    with pyarrow.CompressedOutputStream(content, "zstd") as stream:
        for _ in range(1200):
            stream.write(bytes(1_000_000))
    packed = content.getvalue().to_pybytes()
    values = np.random.default_rng(0).integers(0, 1 << 60, 25_000)
    schema = pyarrow.schema([pyarrow.field("index", pyarrow.int64(), nullable=False)])
    honest = pyarrow.table({"index": values}, schema=schema)
    parquet.write_table(honest, path, compression="zstd", use_dictionary=False, write_statistics=False)

    def integers(*values: int) -> bytes:  # fields of Thrift's compact protocol, one after another
        return b"".join(b"\x15" + varint(2 * value) for value in values)

    about = integers(len(values), 0, 0, 0) + b"\0"  # and their encodings
    header = integers(0, 1_200_000_000, len(packed)) + b"\x2c" + about + b"\0"
    page = header + packed
    return b"PAR1" + page + path.getvalue()[4 + len(page) :]


BOMBS = {
    "shared lists": ("nasbench201", shared_lists),
    "integers of one hash": ("nasbench201", integers_of_one_hash),
    "tuples of one hash": ("nasbench201", tuples_of_one_hash),
    "empty sets": ("nasbench201", lambda: bz2.compress(b"\x80\x04(" + b"\x8f" * 20_000_000 + b"t.")),
    "empty lists": ("nasbench201", lambda: bz2.compress(b"\x80\x04(" + b"]" * 60_000_000 + b"t.")),
    "a long text": ("nasbench201", lambda: b"\x80\x04X" + struct.pack("<I", 2**31) + b"x."),
    "pictures of an empty set": ("images", lambda: archive(x=np.zeros((400_000, 32, 32, 3), np.uint8), y=np.zeros(1))),
    "zeros": ("nasbench101", lambda: archive(vertices=np.zeros(300_000_000, np.uint8))),
    "a shape": ("nasbench101", lambda: declared((1 << 40,))),
    "names": ("nasbench201", lambda: declared((1 << 40,), "edge_order")),
    "columns": ("nasbench101", lambda: columns_of_csv(1500)),
    "many columns": ("nasbench201", lambda: columns_of_csv(300_000)),
    "a long line": ("nasbench101", lambda: b"index,a\n" + b"1" * 200_000_000),
    "trajectories": ("trajectories", lambda: trajectories([1, 10**9])),
    "more trajectories": ("trajectories", lambda: trajectories([10**12, 10**12])),
    "nested JSON": ("nasbench_macro", lambda: b"[" * 10_000_000),
    "lists of JSON": ("nasbench_macro", lambda: gzip.compress(b"[" + b"[]," * 60_000_000 + b"[]]")),
    "digits of JSON": ("nasbench_macro", lambda: b'{"a": {"test_acc": [' + b"9" * 5_000_000 + b"]}}"),
    "names of JSON": ("nasbench_macro", lambda: json.dumps({"a": {"test_acc": [10**400, 0, 0]}}).encode()),
    "rows of Parquet": ("nasbench201", rows_of_parquet),
    "texts of Parquet": ("nasbench201", texts_of_parquet),
    "a page of Parquet": ("nasbench201", page_of_parquet),
    "true": ("nasbench201", lambda: bz2.compress(b"\x80\x04(" + b"\x88" * 60_000_000 + b"t.")),
    "marks": ("nasbench201", lambda: bz2.compress(b"\x80\x04(" + b"(" * 60_000_000 + b"t.")),
    "lines": ("pytorchcv", lambda: b"dataset,model_name,top1_error\n" + b"\n,,\n" * 20_000_000),
    "one byte": ("nasbench201", lambda: b"\x80"),
}


@pytest.mark.parametrize(("kind", "write"), [*BOMBS.values()], ids=[*BOMBS])
@pytest.mark.slow
def test_a_small_file_does_not_become_a_large_one(refused, kind, write, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(write())
    refused(kind, path)


def test_a_file_is_not_unpacked_because_of_its_name(refused, tmp_path):
    path = tmp_path / "file.csv.gz"
    path.write_bytes(gzip.compress(b"index,a\n" + b"0,1\n" * 50_000_000))
    assert "got" in refused("nasbench201", path)


@pytest.mark.parametrize(
    "kind", ["nasbench101", "nasbench201", "pytorchcv", "scores", "trajectories", "images", "listing"]
)
def test_only_regular_files_are_read(refused, kind, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        assert "expected" in refused(kind, path)
