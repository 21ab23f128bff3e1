"""From scores to a training study: Optuna trains the architectures that score best first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zcfast.designing import Design, design
from zcfast.spaces import SearchSpace

if TYPE_CHECKING:
    import optuna


def enqueue_best(study: optuna.Study, space: str | SearchSpace[Any] | Design, n: int, **options: Any) -> Design:
    """Put the n best architectures of a space first in line in a study that trains them.

        study = optuna.create_study(direction="maximize")
        zcfast.optuna.enqueue_best(study, space, 20, limits={"flops": 450e6})
        study.optimize(lambda trial: train(build(trial)), n_trials=100)

    Args:
        study: of the user's own; its objective asks as the space's function does.
        space: a ``zcfast.Space``, which is designed first, or a design of one.
        n: how many.
        options: of ``zcfast.design``.

    Returns:
        The design.

    Raises:
        ValueError: options with a design that is made; a space that is not of a function from choices.
    """
    if isinstance(space, Design) and options:
        raise ValueError(f"{', '.join(options)}: no effect on a design that is made")
    found = space if isinstance(space, Design) else design(space, **options)
    found.enqueue(study, n)
    return found
