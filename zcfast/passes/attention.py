"""Attention, whoever computes it: torch's functions for it, and products around a softmax."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from zcfast.passes.unseen import Watching
from zcfast.torch_internals import outside_modes

Node: TypeAlias = Any
"""A node of torch's graph of derivatives."""

# Products of two tensors with the names of their arguments, of which the last two are the factors.
_FACTORS = {
    **dict.fromkeys((torch.matmul, Tensor.matmul, Tensor.__matmul__), ("input", "other")),
    **dict.fromkeys((torch.bmm, Tensor.bmm), ("input", "mat2")),
    **dict.fromkeys((torch.baddbmm, Tensor.baddbmm, Tensor.baddbmm_), ("input", "batch1", "batch2")),
}
_SOFTMAX = frozenset({torch.softmax, Tensor.softmax, F.softmax})
_WHOLE = F.multi_head_attention_forward
_SIGNATURE = inspect.signature(_WHOLE)
_NAMES = (
    *("linear", "bilinear", "matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "mv", "einsum", "tensordot", "inner"),
    *("addmm", "addmm_", "addmv", "addmv_", "addbmm", "addbmm_", "baddbmm", "baddbmm_", "scaled_dot_product_attention"),
    *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    *("rnn_tanh", "rnn_relu", "lstm", "gru", "rnn_tanh_cell", "rnn_relu_cell", "lstm_cell", "gru_cell"),
)
_MIXING = {_WHOLE} | {getattr(place, name) for place in (torch, Tensor, F) for name in _NAMES if hasattr(place, name)}


@dataclass(frozen=True)
class AttentionCall:
    """One call.

    Attributes:
        projections: queries, keys and values, each [..., tokens, features].
        output: what it gave; of nn.MultiheadAttention, behind its output projection.
        weights: the projections' weights, where the function has them itself.
    """

    projections: tuple[Tensor, Tensor, Tensor]
    output: Tensor
    weights: tuple[Tensor, ...] = ()


class SeeAttention(Watching):
    """Shows each attention that runs.

    `F.scaled_dot_product_attention`, `F.multi_head_attention_forward` (nn.MultiheadAttention), and
    softmax(Q K^T) V by matrix products with anything elementwise between; not by einsum.

    Attributes:
        products: the nodes of all that a product of tensors made so far, attention and recurrences among them.
    """

    def __init__(self, see: Callable[[AttentionCall], None]) -> None:
        """`see` gets each call; it must not change its tensors."""
        super().__init__()
        self._see = see
        self.products: set[Node] = set()  # and held: a node may be made again under the same id
        self._scores: Any = WeakIdKeyDictionary()  # what comes of a product, up to a softmax, to its factors
        self._shares: Any = WeakIdKeyDictionary()  # what comes of that softmax, to the factors

    def __torch_function__(self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None) -> Any:
        """Call a function, and show it if attention ends there."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        with outside_modes():
            if func in _MIXING:
                results = result if isinstance(result, tuple) else (result,)
                self.products.update(each.grad_fn for each in results if isinstance(each, Tensor))
            if func is F.scaled_dot_product_attention:
                given = dict(zip(("query", "key", "value"), args, strict=False)) | kwargs
                self._see(AttentionCall((given["query"], given["key"], given["value"]), result))
            elif func is _WHOLE:
                self._see(_projected(_SIGNATURE.bind(*args, **kwargs).arguments, result[0]))
            elif isinstance(result, Tensor):
                self._follow(func, args, kwargs, result)
        return result

    def _follow(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> None:
        tensors = [each for each in (*args, *kwargs.values()) if isinstance(each, Tensor)]
        if func in _FACTORS:
            given = dict(zip(_FACTORS[func], args, strict=False)) | kwargs
            left, right = (given[name] for name in _FACTORS[func][-2:])
            if left in self._shares:
                self._see(AttentionCall((*self._shares[left], right), result))
            elif left.dim() == right.dim() > 2:
                self._scores[result] = (left, right.transpose(-2, -1))
        elif func in _SOFTMAX:
            if tensors[0] in self._scores:
                self._shares[result] = self._scores[tensors[0]]
        else:
            for known in (self._scores, self._shares):
                found = next((each for each in tensors if each in known and each.numel() == result.numel()), None)
                if found is not None:
                    known[result] = known[found]


def _projected(given: dict[str, Any], output: Tensor) -> AttentionCall:
    """What nn.MultiheadAttention makes of its inputs: these are tokens first."""
    separate = given.get("use_separate_proj_weight", False)
    weights = [given[f"{each}_proj_weight"] for each in "qkv"] if separate else given["in_proj_weight"].chunk(3)
    bias = given["in_proj_bias"]
    biases = bias.chunk(3) if bias is not None else (None, None, None)
    inputs = (given[name] for name in ("query", "key", "value"))
    found = [F.linear(x, weight, bias) for x, weight, bias in zip(inputs, weights, biases, strict=True)]
    query, key, value = (each.transpose(0, 1) if each.dim() == 3 else each for each in found)
    held = tuple(weights) if separate else (given["in_proj_weight"],)
    return AttentionCall((query, key, value), output, (*held, given["out_proj_weight"]))
