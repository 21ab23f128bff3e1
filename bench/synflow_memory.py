"""Peak memory of synflow beside the forward and backward pass of the published scheme.

    python -m bench.synflow_memory

Each runs in a process of its own; the peak is that of the resident memory over what it is with the net built.
"""

import multiprocessing
import resource
from typing import Any

import torch

import zcfast
from bench import published
from bench.nets import SUBJECTS


def peak(name: str, ours: bool, results: Any) -> None:
    torch.set_num_threads(1)
    subject = next(subject for subject in SUBJECTS if subject.name == name)
    small = next(subject for subject in SUBJECTS if subject.name == "NAS-Bench-201 all-skip")
    run = (lambda net, batch: zcfast.score(net, batch, ["synflow"])) if ours else _published
    run(small.build(), small.minibatch())  # what libraries allocate once
    net, batch = subject.build(), subject.minibatch()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(net, batch)
    results.put((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def _published(net: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    published.score(net, batch, ["synflow"])


def main() -> None:
    context = multiprocessing.get_context("spawn")
    print(f"{'net':28}{'ours, MiB':>12}{'published':>12}{'ratio':>8}")
    for subject in SUBJECTS:
        found = []
        for ours in (True, False):
            results = context.Queue()
            process = context.Process(target=peak, args=(subject.name, ours, results))
            process.start()
            found.append(results.get())
            process.join()
        print(f"{subject.name:28}{found[0]:12.1f}{found[1]:12.1f}{found[0] / max(found[1], 0.1):8.3f}", flush=True)


if __name__ == "__main__":
    main()
