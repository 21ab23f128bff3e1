"""What comes of a run that does not succeed."""

from dataclasses import dataclass
from typing import Literal

from zcfast.errors import Portable

Status = Literal["ok", "undefined", "refused", "failed"]


@dataclass(frozen=True)
class Failure:
    """Why a pass or a proxy has no result.

    status is "undefined" where the formula has no value for this net and batch, "refused" where an option cannot be
    honoured exactly, "failed" where the net or its derivative raised.
    """

    status: Status
    reason: str

    def as_error(self) -> "ProxyError":
        """What ends a pass or a proxy for this reason."""
        return ProxyError(self.status, self.reason)


class ProxyError(Portable, Exception):
    """Ends one pass or one proxy; the others go on."""

    def __init__(self, status: Status, reason: str) -> None:
        """Take what is to be reported."""
        super().__init__(reason)
        self.failure = Failure(status, reason)


class WrongArgumentError(TypeError, ValueError):
    """An argument of the caller's that a pass finds to be wrong: it ends the whole call, whichever pass that is."""


def describe(error: Exception) -> Failure:
    """Turn an exception of a pass into its recorded form."""
    if isinstance(error, ProxyError):
        return error.failure
    first_line = str(error).strip().partition("\n")[0]
    return Failure("failed", f"{type(error).__name__}: {first_line}")
