import contextlib
import gzip
import json

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zcfast
from tests.shared import shared_data
from zcfast.tables import json_files


def run_of(recipe: int, valid: list[float], **changes) -> dict:
    losses = {
        f"wt2_{split}_losses": [value + shift for value in valid]
        for shift, split in enumerate(("val", "test", "train"))
    }
    return {"recepie_id": recipe, "status": "OK", **losses, "ptb_final_test_loss": None, **changes}


NLP = [
    run_of(1000000, [5.0] * 49 + [4.5]),
    run_of(1000007, [5.0] * 19),
    run_of(1000000, [5.0] * 49 + [4.25]),
    run_of(1000009, [3.0] * 50, ptb_final_test_loss=5.5),
]
MACRO = {"02012100": {"test_acc": [89.5, 89.0, 89.25], "params": 1}, "00000000": {"test_acc": [70.0, 71.0, 72.0]}}


def write(path, content, packed=False):
    text = json.dumps(content).encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_nasbench_nlp(tmp_path, packed):
    table = zcfast.table("nasbench_nlp", write(tmp_path / "renamed", NLP, packed))
    assert table.names == ("1000000", "1000007", "1000009")
    metric = table.metrics["valid_wikitext2"]
    assert (metric.dataset, metric.split, metric.epochs) == ("wikitext2", "valid", 50)
    assert (metric.unit, metric.seeds) == ("nats a token", (0, 1))
    assert table.query(["1000000", "1000009"], "valid_wikitext2").tolist() == [4.375, 3.0]
    assert table.query(["1000000"], "test_wikitext2", 1).tolist() == [5.25]
    assert table.query(["1000007", "1"], "train_wikitext2").isnan().all()
    assert table.query(["1000009"], "test_ptb").tolist() == [5.5]


def test_nasbench_macro(tmp_path):
    table = zcfast.table("nasbench_macro", write(tmp_path / "file", MACRO))
    assert table.names == ("00000000", "02012100")
    assert table.query(["02012100"], "test").tolist() == [89.25]
    assert table.query(["02012100"], "test", 1).tolist() == [89.0]


def test_a_directory_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="expected a file of JSON, got a directory"):
        zcfast.table("nasbench_macro", tmp_path)


def test_transnas(tmp_path):
    write(tmp_path / "macro_jigsaw.json", [["64-4111-basic", 93.5], ["64-2311-basic", 96.0]])
    write(tmp_path / "macro_normal.json.gz", [["64-2311-basic", 0.5]], packed=True)
    write(tmp_path / "micro_normal.json", [["64-41414-0_00_000", 0.25]])
    table = zcfast.table("transnas_macro", tmp_path)
    assert list(table.metrics) == ["jigsaw", "normal"]
    assert table.query(["64-2311-basic", "64-4111-basic"], "jigsaw").tolist() == [96.0, 93.5]
    assert table.query(["64-2311-basic", "64-4111-basic"], "normal").isnan().tolist() == [False, True]
    assert table.metrics["normal"].unit == "SSIM"
    assert zcfast.table("transnas_micro", tmp_path / "micro_normal.json").names == ("64-41414-0_00_000",)


def test_transnas_is_told_apart_by_its_architectures(tmp_path):
    write(tmp_path / "micro_jigsaw.json", [["64-4111-basic", 93.5]])
    write(tmp_path / "macro_jigsaw.json", [["64-41414-0_00_000", 0.25]])
    assert zcfast.table("transnas_macro", tmp_path)["jigsaw"].tolist() == [93.5]
    assert zcfast.table("transnas_micro", tmp_path / "macro_jigsaw.json")["jigsaw"].tolist() == [0.25]
    with pytest.raises(ValueError, match=r"expected files .* of micro architectures"):
        zcfast.table("transnas_micro", tmp_path / "micro_jigsaw.json")
    write(tmp_path / "macro_jigsaw.json.gz", [["64-41414-0_00_000", 0.25]], packed=True)
    with pytest.raises(ValueError, match="expected one file of micro architectures for jigsaw"):
        zcfast.table("transnas_micro", tmp_path)


def test_pytorchcv(tmp_path):
    lines = [
        "dataset,caption,model_name,top1_error,top5_error",
        "ImageNet-1K,AlexNet,alexnet,38.50,16.64",
        "SVHN,NIN,nin_svhn,3.76,",
    ]
    path = tmp_path / "file"
    path.write_text("\n".join(lines))
    table = zcfast.table("pytorchcv", path)
    assert list(table.metrics) == ["top1_error_imagenet1k", "top5_error_imagenet1k", "top1_error_svhn"]
    assert table.query(["nin_svhn", "alexnet"], "top1_error_svhn").isnan().tolist() == [False, True]
    assert table.query(["alexnet"], "top5_error_imagenet1k").item() == 16.64
    path.write_text("\n".join([*lines, lines[-1]]))
    with pytest.raises(ValueError, match="the model 'nin_svhn' twice for SVHN"):
        zcfast.table("pytorchcv", path)


@pytest.mark.parametrize("name", ["nasbench_macro", "nasbench_nlp", "pytorchcv", "transnas_micro"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"3",
        b'"text"',
        b"[[1, 2, 3]]",
        b'{"a": {"test_acc": [1]}}',
        b'[{"recepie_id": 1}]',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"\x1f\x8b" + bytes(30),
        b"dataset,model_name\nSVHN,a\n",
        b'[{"recepie_id": 1, "wt2_val_losses": 3}]',
        b'[["a", 1], ["a", 2]]',
        b'[["a", "b"]]',
        b'{"a": {"test_acc": [1, 2, 1e999999]}, "b": {"test_acc": [[1]]}}',
    ],
)
def test_other_content(tmp_path, name, content):
    path = tmp_path / "micro_jigsaw.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="micro_jigsaw") as caught:
        zcfast.table(name, path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nasbench_macro", {"a": {"test_acc": [1, 2, 1e9]}}, r"cifar10: .* >= 0 and <= 100 \(percent\), got 1e\+09"),
        ("transnas_micro", [["64-41414-0_00_000", -1]], r"jigsaw: .* >= 0 and <= 100 \(percent\), got -1"),
        ("nasbench_nlp", [{**NLP[0], "ptb_final_test_loss": -2.0}], r"ptb: .* >= 0 \(nats a token\), got -2"),
    ],
)
def test_numbers_that_cannot_be(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message):
        zcfast.table(name, write(tmp_path / "micro_jigsaw.json", content))


def test_an_empty_file_is_of_no_kind(tmp_path):
    write(tmp_path / "macro_jigsaw.json", [["64-4111-basic", 93.5]])
    write(tmp_path / "macro_normal.json", [])
    assert list(zcfast.table("transnas_macro", tmp_path).metrics) == ["jigsaw"]


def test_transnas_needs_the_names_of_the_files(tmp_path):
    with pytest.raises(ValueError, match=r"expected files micro_<task>\.json or macro_<task>\.json, or .* of micro"):
        zcfast.table("transnas_micro", tmp_path)


def test_a_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(json_files, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="more than 1000 bytes of it"):
        zcfast.table("nasbench_nlp", write(tmp_path / "file", [" " * 100_000], packed=True))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(st.data())
def test_flipped_bytes(tmp_path, data):
    name, content = data.draw(st.sampled_from([("nasbench_nlp", NLP[:1]), ("nasbench_macro", MACRO)]))
    path = write(tmp_path / "file", content, packed=data.draw(st.booleans()))
    raw = bytearray(path.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    with contextlib.suppress(ValueError):
        zcfast.table(name, path)


@pytest.mark.parametrize(
    ("name", "file", "size", "values"),
    [
        ("nasbench_nlp", "nasbench_nlp/recipes_wt2_ptb.json.gz", 344, {"test_wikitext2": 340, "test_ptb": 312}),
        ("nasbench_macro", "transnas/nas-bench-macro_cifar10.json.gz", 6561, {"test": 6561}),
        ("transnas_macro", "transnas", 3255, {"jigsaw": 3255, "class_scene": 3255}),
        ("transnas_micro", "transnas", 4096, {"autoencoder": 4096}),
        ("pytorchcv", "pytorchcv/accuracies.csv", 524, {"top1_error_imagenet1k": 323, "top1_error_svhn": 63}),
    ],
)
def test_the_published_files(name, file, size, values):
    table = zcfast.table(name, shared_data(file))
    assert len(table) == size
    known = torch.tensor([int((~table[name].isnan()).sum()) for name in values])
    assert known.tolist() == list(values.values())
