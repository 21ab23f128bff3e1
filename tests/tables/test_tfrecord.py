import base64
import contextlib
import json
import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zcfast
from tests.tables import writers
from tests.tables.writers import SPACE101, run, tfrecord
from zcfast import _tables
from zcfast.tables import Table

ROWS = (0, 5, 400_000)


def numbers(row: int, epochs: int, repetition: int) -> list[float]:
    """Seconds and the train, validation and test accuracy of a run."""
    return [epochs * 10.0, 0.99, 0.9 + repetition / 100, 0.5 + row / 1e6 + epochs / 1e4 + repetition / 1e5]


def release(lengths: tuple[int, ...]) -> bytes:
    runs = [(row, epochs, k) for epochs in lengths for k in range(3) for row in ROWS]
    return tfrecord(*(run(row, epochs, numbers(row, epochs, k)) for row, epochs, k in runs))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "renamed.csv"


def load(path, content: bytes) -> Table:
    path.write_bytes(content)
    return zcfast.table("nasbench101", path)


def error(path, content: bytes) -> str:
    with pytest.raises(ValueError, match=r"renamed\.csv") as caught:
        load(path, content)
    message = str(caught.value)
    assert message.isprintable()
    return message


@given(st.binary(max_size=100))
def test_crc32c(data):
    assert _tables.crc32c(data) == writers.crc32c(data)


def test_crc32c_of_the_standard():
    assert _tables.crc32c(b"123456789") == 0xE3069283  # RFC 3720
    assert _tables.crc32c(bytes(32)) == 0x8A9136AA
    with pytest.raises(ValueError, match="contiguous"):
        _tables.crc32c(memoryview(b"1234")[::2])


def test_the_file_of_108_epochs(path):
    table = load(path, release((108,)))
    assert list(table.metrics) == ["seconds", "train", "valid", "test"]
    assert table.headline == ("test",)
    metric = table.metrics["test"]
    assert (metric.dataset, metric.split, metric.epochs) == ("cifar10", "test", 108)
    assert (metric.unit, metric.seeds) == ("fraction", (0, 1, 2))
    assert table.metrics["seconds"].unit == "seconds"
    for seed in range(3):
        for column, name in enumerate(table.metrics):
            expected = [numbers(row, 108, seed)[column] for row in ROWS]
            assert table.query(torch.tensor(ROWS), name, seed).tolist() == expected
    assert int(table["test"].isnan().sum()) == len(SPACE101) - len(ROWS)


def test_the_full_file(path):
    table = load(path, release((4, 108, 12, 36)))
    assert list(table.metrics)[:5] == ["seconds", "train", "valid", "test", "ep36_seconds"]
    assert [table.metrics[name].epochs for name in ("test", "ep36_test", "ep12_test", "ep4_test")] == [108, 36, 12, 4]
    mean = sum(numbers(5, 4, k)[3] for k in range(3)) / 3
    assert table.query(torch.tensor([5]), "ep4_test").item() == pytest.approx(mean, abs=1e-15)


def test_a_cell_with_fewer_runs_than_others(path):
    table = load(path, tfrecord(*(run(row, 108, numbers(row, 108, k)) for row, k in ((9, 0), (3, 0), (9, 1)))))
    assert table.query(torch.tensor([3, 9]), "test", 1).isnan().tolist() == [True, False]
    assert table.query(torch.tensor([3]), "test").item() == numbers(3, 108, 0)[3]


def test_fields_in_any_order_unknown_ones_and_absent_ones(path):
    record = json.loads(run(3, 108, [1, 2, 3, 4]))
    unknown = writers.varint(9 << 3) + writers.varint(1 << 40) + writers.varint(10 << 3 | 5) + b"1234"
    shuffled = unknown + b"".join(
        writers.varint(1 << 3 | 2) + writers.varint(len(each)) + each
        for each in (b"", b"", writers.evaluation([108.0, 7.0, 0.5, 0.25])[9:] + unknown)
    )
    record[4] = base64.b64encode(shuffled).decode()
    table = load(path, tfrecord(json.dumps(record).encode()))
    assert [table[name][3].item() for name in ("seconds", "train", "valid")] == [7.0, 0.5, 0.25]
    assert math.isnan(table["test"][3].item())


def test_every_truncation_is_noticed(path):
    whole = release((108,))[: 3 * 600]
    for length in range(12, len(whole), 41):
        assert "record" in error(path, whole[:length])


def test_wrong_checksums(path):
    whole = bytearray(release((108,)))
    whole[40] ^= 1
    assert "record 0 at byte 0: the checksum of its data does not match" in error(path, bytes(whole))
    whole[40] ^= 1
    second = 16 + int.from_bytes(whole[:8], "little")
    whole[second] ^= 1
    assert f"record 1 at byte {second}: the checksum of its length" in error(path, bytes(whole))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"digest": "0" * 32}, "expected the hash"),
        ({"digest": 3}, "the hash 3"),
        ({"epochs": 5}, "5 epochs"),
        ({"epochs": "108"}, "108 epochs"),
        ({"adjacency": "0110"}, "an edge 1 -> 0 that does not lead on"),
        ({"adjacency": "01"}, "the adjacency matrix '01'"),
        ({"adjacency": "0200"}, "the adjacency matrix '0200'"),
        ({"adjacency": 7}, "TypeError"),
        ({"operations": "input,conv9x9,output"}, "the operations 'input,conv9x9,output'"),
        ({"operations": ["input", "output"]}, "split"),
        ({"metrics": "!"}, "expected 3 evaluations, got 0"),
        ({"metrics": "abc"}, "padding"),
        ({"metrics": base64.b64encode(b"\x0a\x7f").decode()}, "a ModelMetrics message ends within a field"),
        ({"metrics": base64.b64encode(b"\x0b").decode()}, "a field of an unknown type"),
        ({"metrics": base64.b64encode(b"\xff" * 20).decode()}, "a number of more than 64 bits"),
        ({"metrics": base64.b64encode(b"\x00\x00").decode()}, "number 0"),
        ({"more": 1}, "too many values"),
    ],
)
def test_records_of_other_content(path, changes, message):
    if message == "TypeError":
        message = "object of type 'int' has no len"
    assert message in error(path, tfrecord(run(0, 108, [1, 2, 3, 4], **changes)))


def test_records_that_are_no_json(path):
    for record in (b"", b"\xff", b"[" * 100_000, b"3", b"null"):
        assert "record 0: expected a run of NAS-Bench-101" in error(path, tfrecord(record))


def test_too_many_runs_of_a_cell(path):
    assert "expected at most 8 runs" in error(path, tfrecord(*[run(0, 108, [1, 2, 3, 4])] * 17))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(place=st.integers(0, 2000), bits=st.integers(1, 255))
def test_flipped_bytes(path, place, bits):
    content = bytearray(tfrecord(*(run(row, 108, numbers(row, 108, 0)) for row in ROWS)))
    content[place % len(content)] ^= bits
    error(path, bytes(content))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(data=st.data())
def test_flipped_bytes_within_valid_checksums(path, data):
    record = json.loads(run(5, 108, [1, 2, 3, 4]))
    message = bytearray(base64.b64decode(record[4]))
    message[data.draw(st.integers(0, len(message) - 1))] ^= data.draw(st.integers(1, 255))
    record[4] = base64.b64encode(message).decode()
    with contextlib.suppress(ValueError):
        load(path, tfrecord(json.dumps(record).encode()))
