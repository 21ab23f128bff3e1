"""Sampled NAS-Bench-101 cells with TF32 off and on: seconds, and how far the rankings agree."""

from typing import Any

import torch
from scipy.stats import spearmanr
from torch import Tensor

import zcfast
from bench.bench_score import SIX
from bench.device.session import Job, Session
from zcfast.images import random_images

BATCH = 64


def jobs(session: Session) -> list[Job]:
    space = zcfast.space("nasbench101")
    cells = space.sample(session.cells, torch.Generator().manual_seed(0))
    images = random_images(2 if session.rehearsal else BATCH, (3, 32, 32), 10, 0)
    found: dict[bool, dict[str, Tensor]] = {}

    def score(tf32: bool) -> dict[str, Any]:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        device = session.card.device
        zcfast.score_architectures(space, SIX, cells[:1], images, device=device)  # starts cuDNN and cuBLAS
        scored: list[zcfast.Scores] = []
        seconds = session.card.seconds(
            lambda: scored.append(zcfast.score_architectures(space, SIX, cells, images, device=device))
        )
        found[tf32] = {name: scored[0][name] for name in scored[0].columns}
        reasons = {name: [text for text in texts if text] for name, texts in scored[0].reasons.items()}
        return {"cells": len(cells), "cells_per_second": len(cells) / seconds, "reasons": reasons, "ok": not reasons}

    def agreement() -> dict[str, Any]:
        off, on = found[False], found[True]
        return {"spearman": {name: float(spearmanr(off[name], on[name], nan_policy="omit")[0]) for name in off}}

    return [("TF32 off", lambda: score(False)), ("TF32 on", lambda: score(True)), ("rankings, off and on", agreement)]
