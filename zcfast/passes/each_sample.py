"""Passes of all samples in which each one runs as if it were alone."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zcfast.nets.inputs import tensors_within
from zcfast.passes.blame import module_of
from zcfast.passes.failures import ProxyError, WrongArgumentError
from zcfast.passes.generators import Generators
from zcfast.passes.opaque import UnsupportedError
from zcfast.torch_internals import outside_modes

Pulled = Callable[[Tensor], None]
"""Gets the derivative by what a layer gave."""

# By which a net may go another way for one sample than for all.
_DECIDING = frozenset(
    {
        *(Tensor.__bool__, Tensor.__int__, Tensor.__float__, Tensor.__index__, Tensor.__contains__),
        *(Tensor.item, Tensor.tolist, Tensor.numpy, Tensor.nonzero, torch.nonzero, torch.equal, torch.allclose),
    }
)
_FORMS = frozenset(
    {
        *(Tensor.size, Tensor.dim, Tensor.numel, Tensor.is_floating_point, Tensor.is_complex),
        *(getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "ndim", "is_cuda")),
    }
)
NOT_AT_ONCE = (UnsupportedError, ProxyError, WrongArgumentError, RuntimeError)
"""What such a pass raises where the net may run sample by sample all the same: torch also for want of memory."""

_ROUNDING = 10  # roots of a float's eps, as between two passes of a net


class EachSample(TorchFunctionMode):
    """Waits at each function that takes a parameter of some.

    Right for nets that treat each sample by itself. Whoever uses it compares `compared` samples (`same`). In such a
    pass UnsupportedError is raised where a net reads numbers, draws some from a global generator or one of torch's,
    raises, or uses a parameter in a way that `layer` does not know.

    Attributes:
        first: parameters of layers whose input no parameter has moved. Derivatives by these pass all layers behind.
        failure: what a backward pass raised.
    """

    def __init__(self, place_of: dict[int, int], samples: int) -> None:
        """Take the places of the parameters by their ids, and how many samples there are."""
        super().__init__()
        self.place_of, self.samples = place_of, samples
        self.first: list[Tensor] = []
        self.failure: Exception | None = None
        self._raised: list[Exception] = []
        self._generators = Generators()

    def __enter__(self) -> "EachSample":
        """Note the generators."""
        self._generators = Generators()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Raise UnsupportedError where the net drew, as each sample alone draws the first one's, or where it raised."""
        super().__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        if isinstance(error, Exception) and (error in self._raised or not module_of(error).startswith("zcfast.")):
            raise UnsupportedError("the net raises") from error
        with outside_modes():
            if error is None and self._generators.have_moved():
                raise UnsupportedError("the net draws random numbers")

    def layer(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Pulled:
        """What to do with the derivative by what a function gives that was called with a parameter.

        Raises:
            UnsupportedError: the function has no rule.
        """
        raise NotImplementedError

    def __torch_function__(self, func: Any, types: Iterable[type], args: Any = (), kwargs: Any = None) -> Any:
        """Call a function, and wait at it where it takes a parameter."""
        kwargs = kwargs or {}
        if func in _DECIDING or kwargs.get("generator") is not None:
            raise UnsupportedError(f"{func} depends on all samples")
        held = [each for each in tensors_within((*args, *kwargs.values())) if id(each) in self.place_of]
        waits = bool(held) and func not in _FORMS
        with outside_modes():
            pulled = self.layer(func, args, kwargs) if waits else None
        try:
            result = func(*args, **kwargs)
        except Exception as error:
            self._raised.append(error)
            raise
        if pulled is not None:
            with outside_modes():
                self._wait(pulled, args[0] if args else kwargs["input"], held, result)
        return result

    def _wait(self, pulled: Pulled, given: Tensor, held: Sequence[Tensor], result: Any) -> None:
        if not isinstance(result, Tensor) or result.grad_fn is None or len(given) != self.samples:
            raise UnsupportedError("a layer without a gradient, or not of the samples")
        if result.dtype != given.dtype:
            raise UnsupportedError("a layer of two precisions")
        if not given.requires_grad:
            self.first += held

        def see(by_output: tuple[Tensor | None, ...]) -> None:
            if by_output[0] is not None and self.failure is None:
                try:
                    pulled(by_output[0].detach())
                except Exception as error:  # which a backward pass would report as its own
                    self.failure = error

        result.grad_fn.register_prehook(see)


def compared(samples: int) -> list[int]:
    """The places of some samples that show whether they see each other: the first, a middle and the last one."""
    return sorted({0, samples // 2, samples - 1})


def same(found: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    """Whether derivatives are the same up to rounding, each to its own size."""
    norms = torch.stack([each.double().norm() for each in expected])
    off = torch.stack([(one.double() - other.double()).norm() for one, other in zip(found, expected, strict=True)])
    eps = max(torch.finfo(each.dtype).eps for each in expected) ** 0.5
    return bool((off <= _ROUNDING * eps * torch.maximum(norms, eps * norms.max())).all())
