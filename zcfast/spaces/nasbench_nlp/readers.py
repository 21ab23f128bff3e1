"""NAS-Bench-NLP (Klyuchnikov et al. 2020): recurrent cells as language models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from zcfast.tables.json_files import read_json
from zcfast.tables.metric import Metric
from zcfast.tables.table import Table

EPOCHS = 50
SPLITS = {"valid": "wt2_val_losses", "test": "wt2_test_losses", "train": "wt2_train_losses"}
UNIT = "nats a token"
MOST_RUNS = 3  # of one recipe


def read(benchmark: str, path: Path) -> Table:
    """Losses after 50 epochs on WikiText-2 as `valid_wikitext2`, `test_wikitext2`, `train_wikitext2`; `test_ptb`.

    The file is a JSON list of runs with `recepie_id` (the release's spelling), which is the architecture's name here,
    one list of losses for each split (`wt2_val_losses` and so on) and `ptb_final_test_loss`. A run that ended early has
    NaN. Runs of one recipe are numbered in the order of the file. Lower is better.
    """
    content = read_json(path)
    runs: dict[str, list[dict[str, Any]]] = {}
    for run in content:
        runs.setdefault(str(run["recepie_id"]), []).append(run)
    count = max(map(len, runs.values()), default=0)
    if not 0 < count <= MOST_RUNS:
        raise ValueError(f"expected 1 to {MOST_RUNS} runs of a recipe, got {count}")
    seeds, metrics = tuple(range(count)), {}
    for split, field in SPLITS.items():
        rows = [[_last(run[field]) for run in of_one] + [torch.nan] * (count - len(of_one)) for of_one in runs.values()]
        metrics[f"{split}_wikitext2"] = Metric(_columns(rows), "wikitext2", split, EPOCHS, UNIT, seeds).bounded()
    single = [[_number(of_one[0]["ptb_final_test_loss"])] for of_one in runs.values()]
    metrics["test_ptb"] = Metric(_columns(single), "ptb", "test", None, UNIT).bounded()
    about = f"NAS-Bench-NLP: test loss on WikiText-2 after {EPOCHS} epochs; lower is better"
    return Table(benchmark, metrics, ("test_wikitext2",), about, tuple(runs))


def _last(losses: list[float]) -> float:
    return _number(losses[EPOCHS - 1]) if len(losses) >= EPOCHS else torch.nan


def _number(value: float | None) -> float:
    return torch.nan if value is None else float(value)


def _columns(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64).T.contiguous()
