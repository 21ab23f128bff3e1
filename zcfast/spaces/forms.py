"""The closed forms of any space."""

from collections.abc import Mapping
from typing import Any

from zcfast.expected import forms
from zcfast.spaces.base import SearchSpace
from zcfast.spaces.capabilities import ClosedForm, ClosedForms, Sizes


def closed_forms(space: SearchSpace[Any]) -> Mapping[str, ClosedForm]:
    """Those that the space gives; its sizes, if it counts them by formulas and gives no others; none."""
    own = space.offers(ClosedForms)
    if own is not None:
        return own.forms
    # Sizes of networks that are built for them are proxies, which give a reason where one cannot be built.
    return forms.sizes(space, space.source) if isinstance(space, Sizes) else {}
