import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.shared import shared_data
from zcfast.images import load_images, random_images
from zcfast.images.batch import NORMALISATIONS

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 4, 4, 3), dtype=np.uint8)
LABELS = np.arange(12) % 10


def archive(path: Path, **arrays) -> Path:
    np.savez(path, **arrays)
    return path


def batches(directory: Path, files: dict[str, object], protocol: int = 2) -> Path:
    """A data set's directory; a value that is bytes already is a pickle."""
    directory.mkdir()
    for name, content in files.items():
        (directory / name).write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
    return directory


def rows(n: int, size: int) -> np.ndarray:
    """Pictures as the batches hold them: channels, then rows, then columns."""
    return np.random.default_rng(n).integers(0, 256, (n, 3 * size * size), dtype=np.uint8)


def python_2_batch(pixels: np.ndarray, labels: list[int]) -> bytes:
    """The bytes that Python 2 pickles a CIFAR batch into."""
    shape = b"K" + bytes([len(pixels)]) + b"M" + struct.pack("<H", pixels.shape[1]) + b"\x86"
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    raw = pixels.tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    array += b"(K\x01" + shape + dtype + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(U\x04data" + array + b"U\x06labels" + numbers + b"u."


def error(path, batch_size=2) -> str:
    with pytest.raises(ValueError, match="expected") as caught:
        load_images(path, batch_size, 0)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def raw_pixels(inputs: torch.Tensor, normalisation: str) -> np.ndarray:
    """The pictures [B, H, W, 3] that normalised inputs come from."""
    mean, deviation = (torch.tensor(part)[:, None, None] for part in NORMALISATIONS[normalisation])
    return (inputs * deviation + mean).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def test_an_archive(tmp_path):
    path = archive(tmp_path / "x.npz", images=PIXELS, labels=LABELS, classes=np.array([f"c{k}" for k in range(10)]))
    batch = load_images(path, 12, 3)
    inputs, targets = batch
    assert (inputs.dtype, inputs.shape, targets.dtype, batch.classes) == (torch.float32, (12, 3, 4, 4), torch.int64, 10)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(3)).numpy()
    assert np.array_equal(raw_pixels(inputs, "cifar10"), PIXELS[order])
    assert np.array_equal(targets.numpy(), LABELS[order])
    assert batch.source["normalisation"] == "cifar10"
    assert batch.source["images"] == "x.npz"


def test_seeds_and_checksums(tmp_path):
    path = archive(tmp_path / "x.npz", x=PIXELS, y=LABELS)
    first, again, other = (load_images(path, 5, seed) for seed in (0, 0, 1))
    assert first.protocol() == again.protocol()
    assert torch.equal(first.inputs, again.inputs)
    assert first.protocol()["sha256"] != other.protocol()["sha256"]
    assert len({tuple(picture.flatten().tolist()) for picture in first.inputs}) == 5
    assert first.protocol()["batch_size"] == 5
    assert first.classes is None
    assert first.source["normalisation"] == "imagenet"


def test_pairs_of_an_archive_are_taken_together(tmp_path):
    path = archive(tmp_path / "x.npz", x_train=PIXELS[:5], y_train=LABELS[:5], x_test=PIXELS[5:], y_test=LABELS[5:])
    assert load_images(path, 12, 0).source["drawn_from"] == 12


def test_random_images():
    batch = random_images(50, (3, 8, 8), 4, seed=1)
    assert (batch.inputs.shape, batch.inputs.dtype, batch.classes) == ((50, 3, 8, 8), torch.float32, 4)
    assert abs(batch.inputs.mean()) < 0.05
    assert abs(batch.inputs.std() - 1) < 0.05
    assert batch.targets.unique().tolist() == [0, 1, 2, 3]
    assert batch.source["images"] == "random"
    assert random_images(50, (3, 8, 8), 4, seed=1).protocol() == batch.protocol()
    with pytest.raises(ValueError, match="classes: expected 1 or more, got 0"):
        random_images(2, (3, 8, 8), 0, seed=0)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_cifar10(tmp_path, protocol):
    parts = [(rows(4, 32), [0, 1, 2, 9]), (rows(3, 32), [5, 6, 7])]
    files = {f"data_batch_{k}": {b"data": x, b"labels": y} for k, (x, y) in enumerate(parts, 1)}
    path = batches(tmp_path / "cifar", {**files, "test_batch": b"not read", "batches.meta": b"not read"}, protocol)
    inputs, targets = load_images(path, 7, 0)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(0)).numpy()
    expected = np.concatenate([x for x, _ in parts]).reshape(7, 3, 32, 32).transpose(0, 2, 3, 1)[order]
    assert np.array_equal(raw_pixels(inputs, "cifar10"), expected)
    assert targets.tolist() == [(parts[0][1] + parts[1][1])[k] for k in order]


def test_a_batch_of_python_2(tmp_path):
    pixels = rows(2, 32)
    path = batches(tmp_path / "cifar", {"data_batch_1": python_2_batch(pixels, [3, 7])})
    batch = load_images(path, 2, 0)
    assert sorted(batch.targets.tolist()) == [3, 7]
    first = raw_pixels(batch.inputs, "cifar10")[batch.targets.tolist().index(3)]
    assert np.array_equal(first, pixels[0].reshape(3, 32, 32).transpose(1, 2, 0))


def test_cifar100(tmp_path):
    content = {b"data": rows(3, 32), b"fine_labels": [0, 50, 99], b"coarse_labels": [0, 1, 2]}
    batch = load_images(batches(tmp_path / "cifar", {"train": content}), 3, 0)
    assert sorted(batch.targets.tolist()) == [0, 50, 99]
    assert (batch.classes, batch.source["normalisation"]) == (100, "cifar100")


def test_imagenet16_keeps_its_first_120_classes(tmp_path):
    files = {
        "train_data_batch_1": {"data": rows(3, 16), "labels": [1, 121, 120], "mean": np.zeros(768)},
        "train_data_batch_2": {"data": rows(2, 16), "labels": np.array([1000, 7])},
        "val_data": b"not read",
    }
    batch = load_images(batches(tmp_path / "imagenet", files), 3, 0)
    assert sorted(batch.targets.tolist()) == [0, 6, 119]
    assert (batch.inputs.shape, batch.classes) == ((3, 3, 16, 16), 120)
    assert batch.source["normalisation"] == "imagenet16-120"


class Hostile:
    def __reduce__(self):
        return os.system, ("touch pwned",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({b"data": Hostile(), b"labels": [0]}, f"got one that names {os.name}.system"),
        (b"cbuiltins\neval\n(K\x01tR.", "got one that names builtins.eval"),
        (b"cnumpy\nload\n(U\x01xtR.", "got one that names numpy.load"),
        (b"cnumpy\nload\n(S'x'\ntR.", "got a broken file: one that is broken at byte 14: an opcode"),
        (b"\x80\x02}N" + b"\x85" * 2_000_000 + b"Ns.", "got a broken file: one that is broken"),
        (b"\x80\x02cnumpy.core.numeric\n_frombuffer\n(J\x00\x5e\xd0\xb2NNNtR.", "an array without numbers"),
        (b"cmultiarray\n_reconstruct\n.", "names multiarray._reconstruct"),
        (b"c\x1b[31m\nx\n.", "names ?[31m.x"),
        (b"\x80\x02cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R.", "got one that names an array of O8"),
        (b"cnumpy\ndtype\n(N}\x8c\x08__code__Nstb.", "broken file: a state where none belongs"),
        (b"cnumpy.core.multiarray\n_reconstruct\n(NNNtR.", "expected a pickle of a dictionary, got one of Array"),
        (python_2_batch(rows(2, 32), [1, 2])[:-50], "got a broken file"),
        (python_2_batch(rows(2, 32), [1, 2])[:40], "got a broken file"),
        (b"", "got a broken file"),
        (b"\xff\xd8\xff\xe0 a picture", "got a broken file"),
        ([1, 2], "expected a pickle of a dictionary, got one of list"),
        ({b"labels": [0]}, "'data': expected uint8 [N, 3072], got nothing"),
        ({b"data": rows(2, 16), b"labels": [0, 1]}, "expected uint8 [N, 3072], got uint8 [2, 768]"),
        ({b"data": rows(2, 32).astype(np.float32), b"labels": [0, 1]}, "got float32 [2, 3072]"),
        ({b"data": rows(2, 32), b"labels": [0]}, "expected one label a picture, got 2 pictures and 1 labels"),
        ({b"data": rows(2, 32), b"labels": ["a", "b"]}, "'labels': expected a list of integers, got another value"),
        ({b"data": rows(2, 32), b"labels": [0, 1 << 70]}, "expected small integers"),
        ({b"data": rows(2, 32)}, "'labels': expected a list of integers, got nothing"),
    ],
)
def test_broken_and_hostile_batches(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    path = batches(tmp_path / "cifar", {"data_batch_1": content})
    text = error(path)
    assert message in text
    assert "data_batch_1: " in text
    assert not Path("pwned").exists()


def test_labels_out_of_range(tmp_path):
    path = batches(tmp_path / "cifar", {"data_batch_1": {b"data": rows(2, 32), b"labels": [0, 10]}})
    assert "expected labels from 0 to 9, got 0 to 10" in error(path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": PIXELS}, "expected arrays 'images' and 'labels' or 'x' and 'y', got a"),
        ({"x": PIXELS.astype(np.float32), "y": LABELS}, "array 'x': expected integers, got numbers"),
        ({"x": PIXELS.astype(np.uint16), "y": LABELS}, "array 'x': expected uint8 [N, 4, 4, 3], got uint16"),
        ({"x": PIXELS[..., 0], "y": LABELS}, "array 'x': expected shape [*, *, *, 3], got [12, 4, 4]"),
        ({"x": PIXELS, "y": LABELS[:5]}, "array 'x': expected a label for each of 12, got 5"),
        ({"x": PIXELS, "y": LABELS - 1}, "expected labels from 0 up, got -1 to 8"),
        ({"x": PIXELS, "y": LABELS, "classes": np.array(["a", "b"])}, "expected labels from 0 to 1, got 0 to 9"),
        ({"x": PIXELS, "y": LABELS.astype(object)}, "expected plain data, got a broken or pickled array"),
        ({"x": PIXELS[:, :0], "y": LABELS}, "expected pictures, got some of 0 x 4 pixels"),
        ({"a\nb\x1b": PIXELS}, "got a?b?"),
        ({"x": PIXELS, "y": LABELS, "x_2": PIXELS[:, :3], "y_2": LABELS}, "array 'x_2': expected uint8 [N, 4, 4, 3]"),
    ],
)
def test_other_archives(tmp_path, arrays, message):
    assert message in error(archive(tmp_path / "x.npz", **arrays))


def test_wrong_paths(tmp_path):
    assert "got none: No such file or directory" in error(tmp_path / "none.npz")
    assert "expected a directory with one of train, data_batch_1, train_data_batch_1" in error(tmp_path)
    renamed = tmp_path / "renamed.npz"
    renamed.write_bytes(python_2_batch(rows(2, 32), [1, 2]))
    assert "expected an .npz archive, or a directory of CIFAR-10, CIFAR-100 or ImageNet16 batches" in error(renamed)
    whole = archive(tmp_path / "whole.npz", x=PIXELS, y=LABELS).read_bytes()
    for length in (0, 3, 50, len(whole) // 2, len(whole) - 1):
        renamed.write_bytes(whole[:length])
        error(renamed)
    zipped = batches(tmp_path / "cifar", {"data_batch_1": whole})
    assert "data_batch_1: expected a pickle of plain data" in error(zipped)


@pytest.mark.parametrize(("offset", "value"), [(6, 1), (8, 99)], ids=["encrypted", "compressed by an unknown method"])
def test_an_archive_that_zipfile_cannot_read(tmp_path, offset, value):
    path = archive(tmp_path / "x.npz", x=PIXELS, y=LABELS)
    content = bytearray(path.read_bytes())
    for magic, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):  # a file's own header and that of the directory
        place = content.find(magic)
        while place >= 0:
            content[place + offset + shift] = value
            place = content.find(magic, place + 1)
    path.write_bytes(content)
    assert "array 'x': expected plain data, got a broken" in error(path)


@pytest.mark.parametrize("seed", [-1, 2**64, 0.0, "0"])
def test_wrong_seeds(tmp_path, seed):
    path = archive(tmp_path / "x.npz", x=PIXELS, y=LABELS)
    with pytest.raises(ValueError, match=r"seed: expected an? (number from 0|integer)"):
        load_images(path, 2, seed)
    with pytest.raises(ValueError, match=r"seed: expected an? (number from 0|integer)"):
        random_images(2, (3, 4, 4), 5, seed)


@pytest.mark.parametrize(
    "wrong", [(2.0, (3,), 5), (2, (3.0,), 5), (2, (3,), "5"), (0, (3,), 5), (2, (), 5), (2, (3,), 0)]
)
def test_wrong_sizes_of_noise(wrong):
    with pytest.raises(ValueError, match=r"(batch size|shape|classes): expected (an integer|1 or more)"):
        random_images(*wrong, 0)


def test_too_few_pictures(tmp_path):
    path = archive(tmp_path / "x.npz", x=PIXELS, y=LABELS)
    assert "expected at least 13 pictures, one for each of the batch, got 12" in error(path, 13)
    assert "batch size: expected 1 or more, got 0" in error(path, 0)


@pytest.mark.parametrize(
    ("name", "size", "classes"),
    [
        ("cifar10_1000", 32, 10),
        ("cifar100_1000", 32, 100),
        ("imagenet16_120_sample", 16, 120),
        ("imagenet224_sample64", 224, None),
    ],
)
def test_real_pictures(name, size, classes):
    batch = load_images(shared_data(f"images/{name}.npz"), 64, 0)
    assert batch.inputs.shape == (64, 3, size, size)
    assert batch.classes == classes
    assert batch.inputs.mean().abs() < 0.4
    assert 0.7 < batch.inputs.std() < 1.4


def test_a_batch_shows_its_shapes():
    assert repr(random_images(2, (3, 4, 4), 5, 0)) == "ImageBatch(inputs=[2, 3, 4, 4], targets=[2], classes=5)"
