"""The 500 encoders of NAS-Bench-BERT by every proxy that has scores there, as Markdown; docs/bert.md has the output.

    python -m bench.bert DIRECTORY

The directory keeps finished scores, and a killed run goes on. Needs nasbench_bert/ and text/ of tests/shared.py. One
thread; about half an hour.
"""

import csv
import itertools
import json
import math
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import scipy.stats
import torch
from torch import Tensor

import zcfast
from bench.picks import row
from tests.shared import DATA
from zcfast import analysis
from zcfast.proxies import resolve
from zcfast.proxies.sets import cost

SPACE = zcfast.space("nasbench_bert")
SAMPLES, LENGTH, REPLACED = 8, 32, 0.15
SKIPPED = ("ID", "GLUE Score")  # columns of the published metrics
# One call a line: what shares its passes stands together.
CALLS = {
    "shared": (
        *("params", "depth", "flops", "multiply_adds", "l2_norm", "vkdnw_dim", "head_confidence", "naswot"),
        *("linear_regions", "swap_universal", "grad_norm", "snip", "plain", "fisher", "wrcor", "jacob_cov"),
    ),
    "synflow": ("synflow", "dss"),
    "parts": ("zico", "meco", "meco_opt", "wrcor_weighted"),
    "second": ("grasp", "gradsign"),
}
DEAR = {"parts": 100, "second": 100}  # calls of the first architectures alone; the release lists random ones


def texts() -> tuple[Tensor, Tensor]:
    """The beginning of PTB's validation text: tokens int64 [8, 32], 15 % of them replaced, and which are.

    A word's token is its place among the words of that text from the most frequent one, from 1 on; replacements are
    words of the text drawn at random.
    """
    words = (DATA / "text/ptb.valid.txt").read_text().split()
    counts = Counter(words)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    places = {word: place for place, word in enumerate(ranked, 1)}
    text = torch.tensor([places[word] for word in words])
    generator = torch.Generator().manual_seed(0)
    tokens = text[: SAMPLES * LENGTH].reshape(SAMPLES, LENGTH)
    drawn = text[torch.randint(len(text), tokens.shape, generator=generator)]
    seen = torch.where(torch.rand(tokens.shape, generator=generator) < REPLACED, drawn, tokens)
    return seen, (seen != tokens).long()


def scored(directory: Path, call: str, names: tuple[str, ...], cells: zcfast.spaces.Texts) -> zcfast.Scores:
    """The scores of a call, each different network once."""
    file = directory / f"{call}.parquet"
    if not file.exists():
        different = SPACE.parse(list(dict.fromkeys(cells.texts))[: DEAR.get(call)])
        parts, started = directory / f"{call}.parts", time.process_time()
        scores = zcfast.score_architectures(
            SPACE, names, different, texts(), seed=0, workers=1, parts=parts, progress=told
        )
        print(f"{call}: {(time.process_time() - started) / len(different):.2f} s a network", file=sys.stderr)
        scores.save(file)
    return zcfast.Scores.load(file)


def told(done: int, total: int) -> None:
    if done % 50 == 0:
        print(done, total, file=sys.stderr, flush=True)


def column(scores: zcfast.Scores, name: str, cells: zcfast.spaces.Texts) -> Tensor:
    """A score of each of the cells, NaN of those that were not scored."""
    known = dict(zip(scores.cells.texts, scores[name].tolist(), strict=True))
    return torch.tensor([known.get(text, torch.nan) for text in cells.texts], dtype=torch.float64)


def as_published(configuration: dict) -> dict:
    """What the published metrics were computed of: one hidden size and one width, whatever the configuration says."""
    layers = [{**layer, "feed_forward_dimension": 1024} for layer in configuration["nas_config"]["encoder_layers"]]
    return {"hidden_size": 256, "nas_config": {"encoder_layers": layers}}


def pair(first: Tensor, second: Tensor) -> str:
    """Spearman and its bootstrap interval."""
    found = analysis.bootstrap(analysis.spearman, first, second)
    return f"{found.estimate:.3f} [{found.low:.3f}, {found.high:.3f}]"


def influences(cells: zcfast.spaces.Texts, columns: dict[str, Tensor]) -> None:
    """By least squares, what the operations add to a fit by all other choices."""
    choices = [json.loads(text) for text in cells.texts]
    counts = [Counter(each for name, each in choice.items() if name.startswith("operation")) for choice in choices]
    others = np.array([[1, each["hidden_size"], each["layers"], *_sums(each)] for each in choices], float)
    operations = np.array([[count[name] for name in ("WMA", "DFT", "DCT", "DSC5", "DSC9")] for count in counts], float)
    row(
        "explained",
        "by all other choices",
        "and operations",
        "F of operations",
        "p",
        "a wide layer, depth 3",
        "depth 1",
    )
    row("---", *["---:"] * 6)
    for name, values in columns.items():
        y, squares = values.numpy(), []
        for matrix in (others, np.hstack([others, operations])):
            weights = np.linalg.lstsq(matrix, y, rcond=None)[0]
            squares.append(((y - matrix @ weights) ** 2).sum())
        free = len(y) - matrix.shape[1]
        f = (squares[0] - squares[1]) / operations.shape[1] / (squares[1] / free)
        shares = [f"{1 - each / ((y - y.mean()) ** 2).sum():.3f}" for each in squares]
        errors = np.sqrt(np.diag(np.linalg.inv(matrix.T @ matrix)) * squares[1] / free)
        wide = [f"{weights[place]:.3f} ± {errors[place]:.3f}" for place in (4, 5)]
        row(name, *shares, f"{f:.2f}", f"{scipy.stats.f.sf(f, operations.shape[1], free):.2f}", *wide)


def _sums(choice: dict) -> tuple[float, ...]:
    """Of all layers: depth 3, wide ones of depth 3 and of depth 1, four heads."""
    layers = [
        {name: choice[f"{name}{i}"] for name in ("ff_depth", "ff_width", "heads")} for i in range(choice["layers"])
    ]
    deep = [each["ff_depth"] == 3 for each in layers]
    wide = [each["ff_width"] == 1024 for each in layers]
    both = sum(a and b for a, b in zip(deep, wide, strict=True))
    return sum(deep), both, sum(wide) - both, sum(each["heads"] == 4 for each in layers)


def correlations(cells: zcfast.spaces.Texts, scores: dict[str, Tensor], glue: Tensor) -> None:
    """A line a proxy: over all, and within the four groups of one hidden size and number of layers."""
    choices = [json.loads(text) for text in cells.texts]
    groups = torch.tensor([each["hidden_size"] + each["layers"] for each in choices])
    row("proxy", "Spearman with GLUE", "within a group", "of 500", "passes")
    row("---", *["---:"] * 4)
    found = {name: analysis.spearman(values, glue) for name, values in scores.items()}
    for name in sorted(scores, key=lambda name: -found[name] if math.isfinite(found[name]) else math.inf):
        values = scores[name]
        within = [analysis.spearman(values[groups == group], glue[groups == group]) for group in groups.unique()]
        passes = f"{cost(resolve(name)):g}"
        row(f"`{name}`", pair(values, glue), f"{np.mean(within):.2f}", int((~values.isnan()).sum()), passes)
    sizes = torch.tensor([each["hidden_size"] / 256 + each["layers"] for each in choices])
    row("layers, then hidden size", pair(sizes, glue), "", len(sizes), 0)


def published_metrics() -> dict[str, Tensor]:
    """Of the 500 runs, by name."""
    with (DATA / "nasbench_bert/published_metrics.csv").open() as file:
        lines = list(csv.DictReader(file))
    names = [name for name in lines[0] if name not in SKIPPED]
    return {name: torch.tensor([float(line[name]) for line in lines], dtype=torch.float64) for name in names}


def published(cells: zcfast.spaces.Texts, scores: zcfast.Scores, glue: Tensor) -> None:
    """The published metrics, and ours of the networks that they were computed of."""
    row("published", "Spearman with GLUE")
    row("---", "---:")
    known = published_metrics()
    for name, values in known.items():
        row(name, pair(values, glue))
    for name, other in {"params": "Number of Parameters", "head_confidence": "Head Confidence"}.items():
        ours = column(scores, name, cells)
        row(f"`{name}` of those networks", f"{pair(ours, glue)}; with theirs {pair(ours, known[other])}")


def rank_sums(cells: zcfast.spaces.Texts, scores: dict[str, Tensor], glue: Tensor) -> None:
    """The rank sum of one to three proxies that is best on half of the networks, on the other half."""
    different = list(dict.fromkeys(cells.texts))
    drawn = torch.randperm(len(different), generator=torch.Generator().manual_seed(0))[: len(different) // 2]
    chosen = {different[place] for place in drawn.tolist()}
    half = torch.tensor([text in chosen for text in cells.texts])
    whole = [name for name, values in scores.items() if values.isfinite().all() and len(values.unique()) > 1]
    rules = [rule for size in (1, 2, 3) for rule in itertools.combinations(whole, size)]

    def judged(rule: tuple[str, ...], rows: Tensor) -> tuple[Tensor, Tensor]:
        return analysis.rank_sum(*(scores[name][rows] for name in rule)), glue[rows]

    best = {size: max(_of(rules, size), key=lambda rule: analysis.spearman(*judged(rule, half))) for size in (1, 2, 3)}
    print(f"\n{len(rules)} rules of {len(whole)} proxies on {int(half.sum())} runs, judged on {int((~half).sum())}\n")
    row("best of", "rule", "where it was chosen", "on the other half")
    row("---", "---", "---:", "---:")
    for size, rule in best.items():
        row(size, " + ".join(rule), *(pair(*judged(rule, rows)) for rows in (half, ~half)))
    known = published_metrics()["Head Confidence"]
    row("", "published head confidence", *(pair(known[rows], glue[rows]) for rows in (half, ~half)))


def _of(rules: list[tuple[str, ...]], size: int) -> list[tuple[str, ...]]:
    return [rule for rule in rules if len(rule) == size]


def main(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    runs = json.loads((DATA / "nasbench_bert/benchmark.json").read_text())
    configurations = [run["hparams"]["model_hparam_overrides"] for run in runs]
    cells = SPACE.parse(configurations)
    glue = torch.tensor([run["scores"]["glue"] for run in runs], dtype=torch.float64)
    seconds = torch.tensor([run["time_to_train"] for run in runs], dtype=torch.float64)
    influences(cells, {"GLUE": glue, "logarithm of the training's seconds": seconds.log()})
    scores = {}
    for call, names in CALLS.items():
        found = scored(directory, call, names, cells)
        scores |= {name: column(found, name, cells) for name in names}
    correlations(cells, scores, glue)
    rank_sums(cells, scores, glue)
    others = SPACE.parse(list(map(as_published, configurations)))
    published(others, scored(directory, "published", ("params", "head_confidence"), others), glue)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
