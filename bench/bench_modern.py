"""Proxies of later papers beside plain PyTorch by their official recipes: the same net, minibatch and process.

    python -m bench.bench_modern [ROUNDS]

One thread, processor time, minimum of the rounds, in units of one forward and backward pass in plain PyTorch.
The rivals draw and reduce as the official codes do; their hooks see the modules that ours count.
"""

import copy
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

import zcfast
from bench import recipes
from zcfast.proxies import Proxy, az_expressivity, meco, meco_opt, swap, zen
from zcfast.spaces import space


def kept(net: nn.Module, inputs: Tensor, kinds: tuple[type[nn.Module], ...] | None = None) -> list[Tensor]:
    """The outputs of all leaves, or of those of some kinds."""
    outputs: list[Tensor] = []
    leaves = [each for each in net.modules() if (isinstance(each, kinds) if kinds else not list(each.children()))]
    handles = [each.register_forward_hook(lambda m, a, output: outputs.append(output.detach())) for each in leaves]
    with torch.no_grad():
        net(inputs)
    for handle in handles:
        handle.remove()
    return outputs


def redrawn(net: nn.Module, deviation: Callable[[Tensor], float]) -> nn.Module:
    net = copy.deepcopy(net)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, 0, deviation(layer.weight))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return net


def naswot(net: nn.Module, x: Tensor) -> None:
    kernel = torch.zeros(len(x), len(x))
    for output in kept(net, x, (nn.ReLU,)):
        on = (output > 0).float().flatten(1)
        kernel += on @ on.T + (1 - on) @ (1 - on).T
    torch.linalg.slogdet(kernel)


def patterns(net: nn.Module, x: Tensor) -> None:
    outputs = torch.cat([output.flatten(1) for output in kept(redrawn(net, lambda _: 1.0), x, (nn.ReLU,))], 1)
    torch.unique(outputs.sign().T, dim=0)


def smallest_eigenvalues(net: nn.Module, x: Tensor, channels: int | None = None) -> None:
    for output in kept(net, x[:1]):
        rows = output[0].flatten(1) if output.dim() > 2 else output[0][:, None]
        if channels:
            rows = rows[torch.randperm(len(rows))[:channels]]
        matrix = torch.corrcoef(rows) if rows.shape[1] > 1 else torch.zeros(len(rows), len(rows))
        torch.linalg.eig(matrix.nan_to_num(0.0, 0.0, 0.0)).eigenvalues.real.min()


def sensitivity(net: nn.Module, x: Tensor) -> None:
    net, x = redrawn(net, lambda _: 1.0), torch.randn_like(x)
    one, other = (kept(net, each, (nn.ReLU,))[-1] for each in (x, x + 0.01 * torch.randn_like(x)))
    float((one - other).abs().sum((1, 2, 3)).mean().log())
    sum(0.5 * math.log(norm.running_var.mean()) for norm in net.modules() if isinstance(norm, nn.BatchNorm2d))


def blocks(net: nn.Module, x: Tensor) -> None:
    net = redrawn(net, lambda weight: math.sqrt(2 / weight[0].numel()))
    maps: list[Tensor] = []
    for child in net:  # the stem's BatchNorm and every block
        x = child(x)
        if x.dim() == 4 and not isinstance(child, nn.Conv2d | nn.ReLU | nn.AdaptiveAvgPool2d) and len(maps) < 6:
            maps.append(x)
    for each in maps:
        rows = each.detach().transpose(0, 1).flatten(1)
        values = torch.linalg.eigvalsh(torch.cov(rows, correction=0))
        shares = values / values.sum()
        float(-(shares * (shares + 1e-8).log()).sum())
    for before, after in zip(maps[-2::-1], maps[:0:-1], strict=True):
        signs = torch.randint(0, 2, after.shape) * 2.0 - 1
        (gradient,) = torch.autograd.grad(after, before, signs, retain_graph=True)
        rows = F.pixel_unshuffle(gradient, gradient.shape[2] // signs.shape[2]).transpose(0, 1).flatten(1)
        torch.linalg.svdvals(rows @ signs.transpose(0, 1).flatten(1).T / rows.shape[1])[0]


def spread(net: nn.Module, x: Tensor) -> None:
    """zico, of two halves."""
    kept_gradients = []
    weights = [each.weight for each in net.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    for half in x.chunk(2):
        found = torch.autograd.grad(F.cross_entropy(net(half), torch.arange(len(half)) % 10), weights)
        kept_gradients.append([each.numpy() for each in found])
    total = 0.0
    for pair in zip(*kept_gradients, strict=True):
        stacked = np.stack(pair)
        deviation = stacked.std(0)
        moved = deviation != 0
        total += math.log((np.abs(stacked).mean(0)[moved] / deviation[moved]).sum())


def correlations(net: nn.Module, x: Tensor) -> None:
    """wrcor: hooks on modules, correlations by numpy."""
    inputs: list[Tensor] = []
    kernel = np.zeros((len(x), len(x)))

    def see(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        inputs.append(args[0])

    def pull(module: nn.Module, by_inputs: tuple[Tensor, ...], by_outputs: tuple[Tensor, ...]) -> None:
        kernel.__iadd__(np.abs(np.corrcoef(by_inputs[0].flatten(1).numpy())))

    rectifiers = [each for each in net.modules() if isinstance(each, nn.ReLU)]
    handles = [each.register_forward_hook(see) for each in rectifiers]
    handles += [each.register_full_backward_hook(pull) for each in rectifiers]
    copied = [each.inplace for each in rectifiers]
    for each in rectifiers:
        each.inplace = False  # which full hooks ask for
    F.cross_entropy(net(x), torch.arange(len(x)) % 10).backward()
    for each, inplace in zip(rectifiers, copied, strict=True):
        each.inplace = inplace
    net.zero_grad()
    for each in inputs:
        kernel += np.abs(np.corrcoef(each.detach().flatten(1).numpy()))
    np.linalg.slogdet(kernel)
    for handle in handles:
        handle.remove()


def votes(net: nn.Module, x: Tensor) -> None:
    """gradsign: one sample after the other."""
    weights = [each.weight for each in net.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    total = [torch.zeros_like(each) for each in weights]
    for place in range(len(x)):
        loss = F.cross_entropy(net(x[place : place + 1]), torch.tensor([place % 10]))
        for sum_of, gradient in zip(total, torch.autograd.grad(loss, weights), strict=True):
            sum_of += gradient.sign()
    sum(each.abs().sum().item() for each in total)


@dataclass(frozen=True)
class Subject:
    """A proxy and its rival on one of NETS; the rivals that draw nothing return its score."""

    proxies: list[str | Proxy]
    rival: Callable[[nn.Module, Tensor], object]
    net: str = "cell"


SUBJECTS = {
    "naswot": Subject(["naswot"], naswot),
    "swap, one draw": Subject([swap(repeats=1)], patterns),
    "meco, one image": Subject([meco(repeats=1)], smallest_eigenvalues),
    "meco_opt, one image": Subject([meco_opt(repeats=1)], lambda net, x: smallest_eigenvalues(net, x, 8)),
    "zen, one draw": Subject([zen()], sensitivity),
    "az_nas, one draw": Subject([az_expressivity(repeats=1)], blocks),
    "wrcor": Subject(["wrcor"], correlations),
    "zico": Subject(["zico"], spread),
    "gradsign": Subject(["gradsign"], votes),
    "epe_nas": Subject(["epe_nas"], recipes.epe_nas),
    "logsynflow": Subject(["logsynflow"], recipes.logsynflow),
    "vkdnw_entropy": Subject(["vkdnw_entropy"], recipes.vkdnw),
    "dextr": Subject(["dextr"], recipes.dextr),
    "ntk_cond": Subject(["ntk_cond"], recipes.ntk_cond),
    "dss": Subject(["dss"], recipes.dss, "encoder"),
    "head_confidence": Subject(["head_confidence"], recipes.head_confidence, "encoder"),
    "hidden_cov": Subject(["hidden_cov"], recipes.hidden_cov, "recurrence"),
}
SHARED = ["naswot", "linear_regions", swap(init="as_is"), "wrcor", "grad_norm", "snip", "plain"]


def nets() -> dict[str, tuple[nn.Module, Tensor]]:
    """Each net with 32 inputs."""
    searched = space("nasbench201")
    cell = searched.build(searched.enumerate()[[9000]], generator=torch.Generator().manual_seed(0), modules=1)
    rows = torch.randn(32, recipes.STEPS, recipes.WIDTH, generator=torch.Generator().manual_seed(0))
    return {
        "cell": (cell.train(), zcfast.random_images(32, (3, 32, 32), classes=10, seed=0).inputs),
        "encoder": (recipes.Encoder(), rows[:, : recipes.TOKENS]),
        "recurrence": (recipes.Recurrence(), rows),
    }


def fastest(rounds: int, *runs: Callable[[], object]) -> list[float]:
    """The minimum of each, taken in turns."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for place, run in enumerate(runs):
            start = time.process_time()
            run()
            times[place].append(time.process_time() - start)
    return [min(each) for each in times]


def main(rounds: int = 3) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    known, targets = nets(), torch.arange(32) % 10

    def plain(net: nn.Module, x: Tensor) -> None:
        torch.autograd.grad(F.cross_entropy(net(x), targets), list(net.parameters()))

    def timed(net: nn.Module, x: Tensor, proxies: list[str | Proxy], *rivals: Callable[..., object]) -> list[float]:
        ours = partial(zcfast.score, net, (x, targets), proxies)
        unit, *others = fastest(rounds, partial(plain, net, x), ours, *(partial(each, net, x) for each in rivals))
        return [each / unit for each in others]

    print("units of one forward and backward pass of 32 samples: a cell of NAS-Bench-201 a stage, an encoder, an LSTM")
    ratios = []
    for name, subject in SUBJECTS.items():
        ours, theirs = timed(*known[subject.net], subject.proxies, subject.rival)
        ratios.append(theirs / ours)
        print(f"{name:20} ours {ours:5.2f}   official recipe {theirs:5.2f}   {theirs / ours:5.2f} times", flush=True)
    print(f"geometric mean {math.exp(sum(map(math.log, ratios)) / len(ratios)):.2f}")
    (ours,) = timed(*known["cell"], SHARED)
    print(f"seven that share a pass: {ours:.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
