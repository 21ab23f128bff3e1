"""The closed forms of any space."""

from collections.abc import Mapping
from typing import Any

from zcfast.expected import forms
from zcfast.spaces.base import SearchSpace
from zcfast.spaces.capabilities import ClosedForm, ClosedForms, Sizes


def closed_forms(space: SearchSpace[Any]) -> Mapping[str, ClosedForm]:
    """Those that the space gives; its sizes, if it counts them and gives no others; none."""
    own = space.offers(ClosedForms)
    if own is not None:
        return own.forms
    counted = space.offers(Sizes)
    return {} if counted is None else forms.sizes(counted, space.source)
