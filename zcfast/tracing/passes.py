"""The runs of a net that proxies ask for, and what comes of a run that does not succeed."""

import enum
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "undefined", "refused", "failed"]


class Pass(enum.Flag):
    """What a proxy needs to have run. Passes are shared: each runs once, however many proxies ask for it."""

    NONE = 0
    FORWARD = enum.auto()
    """One forward pass of the minibatch, with the output positions of each layer."""
    LOSS_GRAD = enum.auto()
    """One backward pass from the loss to the counted weights."""
    ACTIVATIONS = enum.auto()
    """LOSS_GRAD that also reaches the outputs of the counted layers."""
    HVP = enum.auto()
    """One second-order pass: the Hessian over the counted weights times the loss gradient."""
    INPUT_JACOBIAN = enum.auto()
    """One backward pass from the sum of the logits to the inputs."""
    LINEAR_FLOW = enum.auto()
    """One pass of synflow, BatchNorm removed: forward where no term can be negative."""
    LINEAR_FLOW_SIGNED = enum.auto()
    """The same of the terms with their signs."""
    LINEAR_FLOW_BATCHNORM = enum.auto()
    """One forward and backward pass of synflow, BatchNorm kept."""
    PRODUCTS = enum.auto()
    """One forward pass of the minibatch that counts the products."""

    def with_requirements(self) -> "Pass":
        """Add the passes that these build on."""
        result = self
        if result & (Pass.ACTIVATIONS | Pass.HVP):
            result |= Pass.LOSS_GRAD
        if result & (Pass.LOSS_GRAD | Pass.INPUT_JACOBIAN):
            result |= Pass.FORWARD
        return result


FLOWS = (Pass.LINEAR_FLOW, Pass.LINEAR_FLOW_SIGNED, Pass.LINEAR_FLOW_BATCHNORM)


@dataclass(frozen=True)
class Failure:
    """Why a pass or a proxy has no result.

    status is "undefined" where the formula has no value for this net and batch, "refused" where an option cannot be
    honoured exactly, "failed" where the net or its derivative raised.
    """

    status: Status
    reason: str


class ProxyError(Exception):
    """Ends one pass or one proxy; the others go on."""

    def __init__(self, status: Status, reason: str) -> None:
        """Take what is to be reported."""
        super().__init__(reason)
        self.failure = Failure(status, reason)


class WrongArgumentError(TypeError):
    """An argument of the caller's that a pass finds to be wrong: it ends the whole call, whichever pass that is."""


def describe(error: Exception) -> Failure:
    """Turn an exception of a pass into its recorded form."""
    if isinstance(error, ProxyError):
        return error.failure
    first_line = str(error).strip().partition("\n")[0]
    return Failure("failed", f"{type(error).__name__}: {first_line}")
