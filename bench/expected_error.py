"""How far expected synflow in closed form is from the mean over random initialisations at full size (docs/expected.md).

    python -m bench.expected_error [CELLS] [INITIALISATIONS]

NAS-Bench-101 has max-pools, for which the closed form is approximate; NAS-Bench-201 has none and shows the noise of the
comparison itself.
"""

import dataclasses
import math
import sys

import torch

from tests.expected import networks
from zcfast.spaces import space
from zcfast.spaces.nasbench101.closed_forms import nasbench101_expected_synflow
from zcfast.spaces.nasbench201.closed_forms import nasbench201_expected_synflow


def compare(forward, initialisation, closed_form, count, generator):
    values = torch.stack(
        [networks.synflow(forward, networks.random_weights(initialisation, generator)) for _ in range(count)]
    )
    mean, error = values.mean().item(), values.std().item() / math.sqrt(count)
    spread = values.log().std().item()
    print(
        f"  ln mean {math.log(mean):.4f} +- {error / mean:.4f}   closed form {closed_form:.4f}   "
        f"difference {closed_form - math.log(mean):+.4f}   between two seeds {spread * math.sqrt(2):.4f}",
        flush=True,
    )
    return closed_form - math.log(mean)


def main(cells: int, count: int) -> None:
    generator = torch.Generator().manual_seed(0)
    for name, function in (
        ("nasbench101", nasbench101_expected_synflow),
        ("nasbench201", nasbench201_expected_synflow),
    ):
        each = space(name)
        options = dataclasses.asdict(each.network)
        sample = each.sample(cells, generator)
        scores = function(sample, dtype=torch.float64)
        differences = []
        for i, text in enumerate(each.format(sample)):
            if not scores[i].isfinite():
                continue
            print(text)
            if name == "nasbench101":
                matrix, names = each.to_matrices(sample[i])[0]

                def forward(weight):
                    return networks.nasbench101(matrix, names, weight, **options)  # noqa: B023
            else:
                operations = sample.operations[i].tolist()

                def forward(weight):
                    return networks.nasbench201(operations, weight, **options)  # noqa: B023

            differences.append(compare(forward, each.initialisation, scores[i].item(), count, generator))
        mean = sum(differences) / len(differences)
        print(f"{name}: largest |difference| {max(map(abs, differences)):.4f}, mean {mean:+.4f}")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(*map(int, given + ["12", "20"][len(given) :]))
