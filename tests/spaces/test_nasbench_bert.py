import copy
import csv
import json
import pickle

import numpy as np
import pytest
import torch

import zcfast
from tests.shared import shared_data
from tests.spaces import bert_reference
from zcfast.spaces import Decisions, Enumerated, Neighbourhood, Sizes
from zcfast.spaces.nasbench_bert import Discriminator, Layer, NasBenchBert
from zcfast.spaces.nasbench_bert.network import OPERATIONS
from zcfast.spaces.own.undrawn import Undrawn

SPACE = zcfast.space("nasbench_bert")
TYPES = {"SDP": ("SA", "SDP"), "WMA": ("SA", "WMA"), "DFT": ("LT", "DFT"), "DCT": ("LT", "DCT")}
TYPES |= {"DSC5": ("DSC", 5), "DSC9": ("DSC", 9)}


def released(hidden, *layers):
    """A configuration as the release has it, of layers (operation, heads, width, depth)."""
    names = ("operation_type", "operation_parameter", "num_operation_heads", "feed_forward_dimension")
    values = [(*TYPES[kind], heads, width, depth) for kind, heads, width, depth in layers]
    encoder = [dict(zip((*names, "num_feed_forward"), each, strict=True)) for each in values]
    return {"hidden_size": hidden, "nas_config": {"encoder_layers": encoder}}


def small():
    return released(128, ("SDP", 4, 512, 3), ("DSC9", 2, 1024, 1))


def trained(configuration, glue, seconds=10.0):
    scores = dict.fromkeys(("cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst", "sts"), glue)
    hparams = {"learning_rate": 5e-4, "model_hparam_overrides": configuration}
    return {"id": 0, "time_to_train": seconds, "scores": {**scores, "glue": glue}, "hparams": hparams}


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_a_text_is_the_choices():
    cell = SPACE.parse(small())
    assert cell.texts == (
        '{"ff_depth0": 3, "ff_depth1": 1, "ff_width0": 512, "ff_width1": 1024, "heads0": 4, "heads1": 2, '
        '"hidden_size": 128, "layers": 2, "operation0": "SDP", "operation1": "DSC9"}',
    )
    assert SPACE.parse(cell.texts[0]) == SPACE.parse(json.loads(cell.texts[0])) == cell
    assert len(SPACE.parse([small(), released(256, *[("DFT", 2, 512, 1)] * 4)])) == 2


def test_capabilities():
    assert SPACE.offers(Enumerated) is None
    sizes = SPACE.capability(Decisions).sizes
    assert len(sizes) == 2 + 4 * 4
    assert sorted(set(sizes)) == [2, 6]
    cell = SPACE.parse(small())
    assert SPACE.capability(Neighbourhood).mutate(cell, torch.Generator().manual_seed(0)) != cell
    assert pickle.loads(pickle.dumps(SPACE)).format(cell) == SPACE.format(cell)
    assert isinstance(pickle.loads(pickle.dumps(SPACE)), NasBenchBert)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(hidden_size=192), "choice 'hidden_size': expected one of 128, 256, got 192"),
        (lambda c: c.pop("hidden_size"), "expected a configuration of the release, got none: no 'hidden_size'"),
        (lambda c: c["nas_config"].clear(), "no 'encoder_layers'"),
        (lambda c: c["nas_config"]["encoder_layers"].pop(), "choice 'layers': expected one of 2, 4, got 1"),
        (lambda c: c["nas_config"]["encoder_layers"][0].update(operation_parameter="WAM"), r"no \('SA', 'WAM'\)"),
        (lambda c: c["nas_config"]["encoder_layers"][1].update(operation_parameter=7), r"no \('DSC', 7\)"),
        (lambda c: c["nas_config"]["encoder_layers"][1].pop("num_operation_heads"), "no 'num_operation_heads'"),
        (lambda c: c["nas_config"].update(encoder_layers=3), "got none: no"),
    ],
)
def test_what_is_no_configuration(change, message):
    configuration = copy.deepcopy(small())
    change(configuration)
    with pytest.raises(ValueError, match=message):
        SPACE.parse(configuration)


@pytest.mark.parametrize("hidden", [128, 256])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_logits_are_those_of_the_definition(hidden, operation):
    layers = [Layer(operation, 4, 512, 3), Layer(operation, 2, 1024, 1)]
    module = Discriminator(hidden, layers).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():  # as drawn, biases are 0 and attention is nearly even
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    tokens = torch.randint(30_522, (2, 11), generator=generator)
    weights = {name: value.numpy() for name, value in module.state_dict().items()}
    expected = bert_reference.logits(weights, layers, tokens.numpy())
    found = module(tokens).transpose(1, 2).detach()
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def test_weights_are_drawn_as_bert_draws_them():
    module = SPACE.build(small(), generator=torch.Generator().manual_seed(0))
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        elif ".norm." in name:
            assert (parameter == 1).all()
        else:
            assert abs(parameter.std().item() / 0.02 - 1) < 6 / parameter.numel() ** 0.5, name
    assert not module.encoder.embeddings.tokens.weight[0].any()


def test_texts_that_are_too_long():
    module = SPACE.build(small())
    assert module(torch.ones(1, 512, dtype=torch.int64)).shape == (1, 2, 512)
    for shape in ((1, 513), (512,)):
        with pytest.raises(ValueError, match=r"tokens: expected \[N, at most 512\], got"):
            module(torch.ones(shape, dtype=torch.int64))


def encoder_params(configuration):
    module = SPACE.outline(SPACE.format(SPACE.parse(configuration))[0])
    return sum(parameter.numel() for parameter in module.encoder.parameters())


def test_params():
    """Published of a hidden size of 256 and feed-forward layers of 1,024, whatever the configuration says."""
    wide = released(256, ("WMA", 4, 1024, 3), ("DCT", 2, 1024, 3), ("SDP", 4, 1024, 3), ("SDP", 4, 1024, 1))
    assert encoder_params(wide) == 13_330_176
    assert encoder_params(released(256, ("DSC9", 4, 1024, 1), ("DSC5", 2, 1024, 1))) == 5_526_167
    assert encoder_params(released(256, ("DCT", 2, 1024, 1), ("DSC5", 2, 1024, 1))) == 5_356_549
    cell = SPACE.parse(wide)
    head = 256 * 256 + 256 + 2 * 256 + 2
    assert SPACE.capability(Sizes).params(cell).tolist() == [13_330_176 + head]


def test_sizes_count_what_the_proxies_count():
    cell = SPACE.parse(small())
    scores = zcfast.score_architectures(SPACE, ["params", "multiply_adds"], cell)
    sizes = SPACE.capability(Sizes)
    assert scores["params"].tolist() == sizes.params(cell).tolist()
    assert scores["multiply_adds"].tolist() == sizes.flops(cell).tolist()


def test_read(tmp_path):
    other = released(256, ("DFT", 2, 512, 1), ("WMA", 2, 512, 1))
    path = write(tmp_path / "renamed", [trained(small(), 70.0), trained(other, 60.5, 20.0), trained(small(), 71.0)])
    table = zcfast.table("nasbench_bert", path)
    assert table.names == tuple(SPACE.format(SPACE.parse([small(), other])))
    assert table.query(SPACE.parse([other, small()]), "glue").tolist() == [60.5, 70.5]
    assert table.query(table.names, "cola", 1).tolist()[0] == 71.0
    assert table["train_seconds"].tolist() == [10.0, 20.0]
    assert (table.metrics["rte"].unit, table.metrics["rte"].seeds) == ("percent", (0, 1))
    table.save(tmp_path / "bert.parquet")
    assert zcfast.table("nasbench_bert", tmp_path / "bert.parquet")["sts"].tolist() == [70.5, 60.5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected a list of runs, got an empty list"),
        ([3], "run 0: expected scores and an architecture, got others"),
        ([trained(small(), 70.0), trained({"hidden_size": 1}, 70.0)], "run 1: .*no 'nas_config'"),
        ([{**trained(small(), 70.0), "scores": {}}], "run 0: .*'glue'"),
        ([trained(small(), 70.0)] * 4, "expected at most 3 runs of an architecture, got 4"),
        ([{**trained(small(), 70.0), "time_to_train": "long"}], "run 0: .*could not convert string to float"),
    ],
)
def test_other_content(tmp_path, content, message):
    with pytest.raises(ValueError, match=f"file: {message}"):
        zcfast.table("nasbench_bert", write(tmp_path / "file", content))


def test_a_correlation_may_be_negative_and_an_accuracy_may_not(tmp_path):
    run = trained(small(), 70.0)
    run["scores"]["cola"] = -2.0
    table = zcfast.table("nasbench_bert", write(tmp_path / "file", [run]))
    assert (table.metrics["cola"].unit, table["cola"].tolist()) == ("percent correlation", [-2.0])
    run["scores"]["rte"] = -2.0
    with pytest.raises(ValueError, match=r"rte: expected finite numbers >= 0 and <= 100 \(percent\), got -2"):
        zcfast.table("nasbench_bert", write(tmp_path / "file", [run]))


def test_other_files(tmp_path):
    text = SPACE.parse(small()).texts[0].replace('"', '""')
    (tmp_path / "own.csv").write_text(f'architecture,accuracy\n"{text}",70.5\n')
    assert zcfast.table("nasbench_bert", tmp_path / "own.csv")["accuracy"].tolist() == [70.5]
    np.savez(tmp_path / "own.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match=r"expected benchmark.json, a CSV or a Parquet file for nasbench_bert"):
        zcfast.table("nasbench_bert", tmp_path / "own.npz")
    with pytest.raises(ValueError, match="Is a directory"):
        zcfast.table("nasbench_bert", tmp_path)


def test_scores_need_no_data(tmp_path):
    cells = SPACE.parse([small(), released(256, ("DFT", 2, 512, 1), ("DCT", 2, 512, 1))])
    scores = zcfast.score_architectures(SPACE, ["snip", "jacob_cov", "head_confidence"], cells)
    assert scores["snip"].isfinite().all()
    assert scores["jacob_cov"].isfinite().all()
    assert scores["head_confidence"].isnan().tolist() == [False, True]
    assert "no attention ran" in scores.reasons["head_confidence"][1]
    scores.save(tmp_path / "s.parquet")
    assert zcfast.Scores.load(tmp_path / "s.parquet").cells == cells


@pytest.mark.slow
def test_the_published_parameters():
    """All 500 are explained: those of the encoder at a hidden size of 256 and feed-forward layers of 1,024."""
    runs = json.loads(shared_data("nasbench_bert/benchmark.json").read_text())
    with shared_data("nasbench_bert/published_metrics.csv").open() as file:
        published = [int(row["Number of Parameters"]) for row in csv.DictReader(file)]
    configurations = [run["hparams"]["model_hparam_overrides"] for run in runs]
    for configuration in configurations:
        configuration["hidden_size"] = 256
        for layer in configuration["nas_config"]["encoder_layers"]:
            layer["feed_forward_dimension"] = 1024
    with Undrawn():
        sizes = [encoder_params(configuration) for configuration in configurations]
    assert sizes == published


@pytest.mark.slow
def test_the_published_scores():
    table = zcfast.table("nasbench_bert", shared_data("nasbench_bert/benchmark.json"))
    assert len(table) == 491
    assert table["glue"].isfinite().all()
    assert int((~table.metrics["glue"].values.isnan()).sum()) == 500
