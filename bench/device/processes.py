"""Cells a second with several processes on one card: each has one Python thread, which its kernels wait for."""

import time
from typing import Any

import torch

import zcfast
from bench.bench_score import SIX
from bench.device.session import Job, Session
from zcfast.images import random_images

BATCH = 64
CELLS = 40  # a process


def jobs(session: Session) -> list[Job]:
    # A spawned process knows no pretended device: a rehearsal has the CPU.
    counts, each, batch, device = ((1, 2), 2, 2, "cpu") if session.rehearsal else ((1, 2, 4, 8), CELLS, BATCH, "cuda")
    images = random_images(batch, (3, 32, 32), 10, 0)
    return [(f"{count} processes", lambda count=count: rate(count, each * count, images, device)) for count in counts]


def rate(workers: int, count: int, images: Any, device: str) -> dict[str, Any]:
    """Of the second half, when all processes have started."""
    space = zcfast.space("nasbench101")
    cells = space.sample(count, torch.Generator().manual_seed(1))
    times: dict[int, float] = {}

    def progress(done: int, _: int) -> None:
        times[done] = time.perf_counter()

    scores = zcfast.score_architectures(space, SIX, cells, images, device=device, workers=workers, progress=progress)
    reasons = {name: [text for text in texts if text] for name, texts in scores.reasons.items()}
    half, end = times[count // 2], times[count]
    return {"cells_per_second": (count - count // 2) / (end - half), "reasons": reasons, "ok": not reasons}
