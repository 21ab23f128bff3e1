"""The scores of any net by their formulas, in plain PyTorch and float64: nothing of zcfast but the list of layers."""

import copy
import math

import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

from zcfast.scoring import score

KINDS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
ALL = ("grad_norm", "snip", "plain", "fisher", "grasp", "jacob_cov", "flops", "l2_norm", "params")


def _double(x):
    return x.to(torch.promote_types(x.dtype, torch.float64)) if x.is_floating_point() or x.is_complex() else x


def _gradients(value, points, **options):
    found = torch.autograd.grad(value, points, allow_unused=True, **options) if value.requires_grad else []
    found = list(found) or [None] * len(points)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(points, found, strict=True)]


def evaluate(net, batch, names=ALL, *, loss_fn=F.cross_entropy, logits=lambda out: out, train=True):
    """Evaluate the formulas on a copy of the net; every proxy with a forward pass of its own net."""
    inputs, targets = (_double(each) for each in batch)
    trainable = float(sum(p.numel() for p in net.parameters() if p.requires_grad))
    state = torch.get_rng_state()

    def fresh():
        torch.set_rng_state(state)
        copied = copy.deepcopy(net).double().requires_grad_()
        if train:
            copied.train()
        layers = [child for child in dict.fromkeys(copied.modules()) if isinstance(child, KINDS)]
        return copied, layers, [layer.weight for layer in layers]

    def loss_of(copied):
        return loss_fn(logits(copied(inputs.clone())), targets)

    def gradient(kind):
        copied, _, weights = fresh()
        pairs = list(zip(weights, _gradients(loss_of(copied), weights), strict=True))
        if kind == "grad_norm":
            return sum(g.norm().item() for _, g in pairs)
        return sum(((w * g).abs() if kind == "snip" else w * g).sum().item() for w, g in pairs)

    def grasp():
        copied, _, weights = fresh()
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            gradients = _gradients(loss_of(copied), weights, create_graph=True)
            products = _gradients(sum((g * g.detach()).sum() for g in gradients), weights)
        return -sum((w * h).sum().item() for w, h in zip(weights, products, strict=True))

    def outputs():
        """The loss, and each call of each layer as (layer, output); copies flow on."""
        copied, layers, _ = fresh()
        calls = []
        for layer in layers:
            layer.register_forward_hook(lambda m, args, out: calls.append((m, out)) or out.clone(), prepend=True)
        return loss_of(copied), calls

    def places(layer):
        return 0 if isinstance(layer, nn.Linear) else len(layer.kernel_size)

    def fisher():
        total, (loss, calls) = 0.0, outputs()
        for layer, out in calls:
            (by_output,) = _gradients(loss, [out], retain_graph=True)
            channel = out.dim() - 1 - places(layer)
            product = (out * by_output).movedim(channel, 1).unsqueeze(-1).flatten(2).sum(2)
            total += layer.weight[0].numel() * product.square().mean(0).sum().item() / 2
        return total

    def flops():
        total = 0.0
        for layer, out in outputs()[1]:
            total += layer.weight.numel() * out.numel() / out.shape[out.dim() - 1 - places(layer)] / len(inputs)
        return total

    def jacob_cov():
        copied, _, _ = fresh()
        point = inputs.clone().requires_grad_()
        (rows,) = _gradients(logits(copied(point.clone())).sum(), [point])
        values = torch.linalg.eigvalsh(torch.corrcoef(rows.flatten(1)))
        return -(torch.log(values + 1e-5) + 1 / (values + 1e-5)).sum().item()

    rules = {
        **{kind: lambda kind=kind: gradient(kind) for kind in ("grad_norm", "snip", "plain")},
        **{"grasp": grasp, "fisher": fisher, "flops": flops, "jacob_cov": jacob_cov, "params": lambda: trainable},
        "l2_norm": lambda: sum(w.norm().item() for w in fresh()[2]),
    }
    try:
        return {name: rules[name]() for name in names}
    finally:
        torch.set_rng_state(state)


def check(net, batch, names=ALL, *, dtypes=(torch.float64, torch.float32), exact=1e-8, single=1e-3, **options):
    """Compare the scores of a net, in each type of numbers, with the formulas; the net must come back as it was."""
    expected = evaluate(net, batch, names, **{k: v for k, v in options.items() if k in ("loss_fn", "logits", "train")})
    size = sum(abs(value) for name, value in expected.items() if name in ("grad_norm", "snip"))
    for dtype in dtypes:
        scored = copy.deepcopy(net).to(dtype)
        before = {name: value.clone() for name, value in scored.state_dict().items()}
        own = [each.to(dtype) if each.is_floating_point() else each for each in batch]
        found = score(scored, tuple(own), list(names), **options)
        for name, value in expected.items():
            assert found[name].status == "ok", (dtype, name, found[name].reason)
            tolerance = exact if dtype == torch.float64 else single
            # Signed sums may nearly vanish.
            margin = tolerance * max(abs(value), size if name in ("plain", "grasp") else 0)
            assert math.isclose(found[name].value, value, rel_tol=0, abs_tol=margin), (dtype, name, found[name].value)
        assert all(torch.equal(value, before[name]) for name, value in scored.state_dict().items())
