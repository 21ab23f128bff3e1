"""Every operator with a CUDA kernel: compared with the CPU, and timed beside plain PyTorch and the copy bandwidth."""

from typing import Any

import torch
from torch import Tensor

from bench.device.card import Card
from bench.device.cases import Case, cases
from bench.device.session import Job, Session


def jobs(session: Session) -> list[Job]:
    card = session.card
    made = [(case.name, lambda case=case: measure(case, card)) for case in cases(small=session.rehearsal)]
    return [("copy", lambda: {"bytes_per_second": card.copy_bandwidth}), *made]


def to_device(value: Any, device: str) -> Any:
    """Tensors of any nesting on the device."""
    if isinstance(value, Tensor):
        return value.to(device)
    return type(value)(to_device(each, device) for each in value) if isinstance(value, (list, tuple)) else value


def difference(got: Any, expected: Any) -> float:
    """The largest difference relative to the largest magnitude of a result; 1 for integers that are not equal."""
    if isinstance(expected, tuple):
        return max(difference(a, b) for a, b in zip(got, expected, strict=True))
    got = got.cpu()
    if not expected.is_floating_point():
        return 0.0 if torch.equal(got, expected) else 1.0
    if not expected.numel():
        return 0.0
    got, expected = got.double(), expected.double()
    scale = expected.abs().max().clamp_min(torch.finfo(torch.float64).tiny)
    return float((got - expected).abs().max() / scale)


def compare(case: Case, on_device: tuple[Any, ...]) -> dict[str, Any]:
    """With the result of the CPU, and with a second run."""
    first, second = case.ours(*on_device), case.ours(*on_device)
    apart = difference(first, case.ours(*case.arguments))
    same = difference(first, to_device(second, "cpu")) == 0
    return {
        "difference_from_cpu": apart,
        "tolerance": case.tolerance,
        "same_bits_twice": same,
        "ok": apart <= case.tolerance and same,
    }


def measure(case: Case, card: Card) -> dict[str, Any]:
    on_device = to_device(case.arguments, card.device)
    compared = compare(case, on_device)
    ours = card.median_microseconds(lambda: case.ours(*on_device))
    return {
        **compared,
        "microseconds": ours,
        "microseconds_in_a_graph": card.graph_microseconds(lambda: case.ours(*on_device)),
        "plain_pytorch_microseconds": card.median_microseconds(lambda: case.rival(*on_device)) / case.rival_share,
        "plain_pytorch_did": case.rival_share,
        "share_of_copy_bandwidth": case.bytes_moved / (1e-6 * ours) / card.copy_bandwidth,
    }
