"""Every operator with a CUDA kernel on a stream of its own and in a graph, on small arguments."""

import pytest
import torch

from bench.device.cases import cases
from bench.device.kernels import difference, to_device

CYCLES = 50_000_000  # some hundredths of a second, in which what does not wait has run

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
CASES = cases(small=True)


def tensors(value):
    """All of them, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [each for part in value for each in tensors(part)] if isinstance(value, (list, tuple)) else []


def assert_is_the_cpus(got, case):
    assert difference(got, case.ours(*case.arguments)) <= case.tolerance


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_waits_for_the_callers_stream(case):
    """The arguments come late on that stream: a kernel on any other would read what lay there before, zeros."""
    source = to_device(case.arguments, "cuda")
    late = to_device(case.arguments, "cuda")
    for tensor in tensors(late):
        tensor.zero_()
    case.ours(*source)  # compiled and loaded before it is to be late
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(CYCLES)
        for to, of in zip(tensors(late), tensors(source), strict=True):
            to.copy_(of)
        got = case.ours(*late)
    stream.synchronize()
    assert_is_the_cpus(got, case)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_graph_replays_it_on_other_numbers(case):
    source, static = to_device(case.arguments, "cuda"), to_device(case.arguments, "cuda")
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        case.ours(*static)
    torch.cuda.current_stream().wait_stream(side)
    for tensor in tensors(static):
        tensor.zero_()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        got = case.ours(*static)
    for to, of in zip(tensors(static), tensors(source), strict=True):
        to.copy_(of)
    graph.replay()
    torch.cuda.synchronize()
    assert_is_the_cpus(got, case)


def test_two_streams_at_once():
    """Scratch of one call is not another's."""
    streams = [torch.cuda.Stream() for _ in range(4)]
    arguments = [to_device(case.arguments, "cuda") for case in CASES]
    torch.cuda.synchronize()
    found = []
    for turn in range(4):
        for case, on_device in zip(CASES, arguments, strict=True):
            with torch.cuda.stream(streams[(len(found) + turn) % len(streams)]):
                found.append((case, case.ours(*on_device)))
    torch.cuda.synchronize()
    for case, got in found:
        assert_is_the_cpus(got, case)
