"""Whole calls of `zcfast.score` beside the published scheme in plain PyTorch, on the same device and nets."""

import dataclasses
import math
import statistics
from typing import Any

import zcfast
from bench import published
from bench.bench_score import SIX
from bench.device.card import Card
from bench.device.kernels import to_device
from bench.device.session import Job, Session
from bench.nets import SUBJECTS, Subject

BATCH = 64
ROUNDS = 3


def jobs(session: Session) -> list[Job]:
    subjects = SUBJECTS[:7:6] if session.rehearsal else SUBJECTS
    batch, rounds = (2, 1) if session.rehearsal else (BATCH, ROUNDS)
    resized = [dataclasses.replace(subject, batch_size=batch) for subject in subjects]
    return [(each.name, lambda each=each: compare(each, rounds, session.card)) for each in resized]


def compare(subject: Subject, rounds: int, card: Card) -> dict[str, Any]:
    """Medians of rounds in turns, after one that starts the libraries; PyTorch's own setting of TF32."""
    net, batch = subject.build().to(card.device), to_device(subject.minibatch(), card.device)
    ours, theirs = zcfast.score(net, batch, SIX), published.score(net, batch, SIX)
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(rounds):
        times["ours"].append(card.seconds(lambda: zcfast.score(net, batch, SIX)))
        times["theirs"].append(card.seconds(lambda: published.score(net, batch, SIX)))
    medians = {name: statistics.median(values) for name, values in times.items()}
    values = {name: [each.value, theirs[name]] for name, each in ours.items()}
    reasons = {name: each.reason for name, each in ours.items() if each.status != "ok"}
    return {
        "batch": subject.batch_size,
        "milliseconds": 1e3 * medians["ours"],
        "published_milliseconds": 1e3 * medians["theirs"],
        "ratio": medians["theirs"] / medians["ours"],
        "values_and_published": values,
        "reasons": reasons,
        "ok": not reasons and all(math.isfinite(value) for pair in values.values() for value in pair),
    }
