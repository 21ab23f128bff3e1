"""Optuna proposes architectures: its samplers, its storages, its study."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler
from optuna.trial import FrozenTrial, TrialState

from zcfast.designing.limits import Cost, excess
from zcfast.designing.look import BUILT, TEXT
from zcfast.designing.proposals import SAMPLERS, Proposals
from zcfast.errors import first_line
from zcfast.scoring.store import Row
from zcfast.spaces import Decisions, Enumerated, SearchSpace
from zcfast.spaces.own.choices import Categorical, Choice

POPULATION = 64  # proposals of a generation
_OVER = "zcfast:over"  # by how large a share a trial exceeds each limit
_ROW = "zcfast:row"
_CLAIMS = "zcfast:claims"
_UNFINISHED = "zcfast:unfinished"  # rows of a batch that Ctrl-C ended


class Generations(NSGAIISampler):
    """Optuna's NSGA-II for trials that are asked for a generation at a time: it needs no look through all of them."""

    def get_trial_generation(self, study: optuna.Study, trial: FrozenTrial) -> int:
        """Generations follow one another in the order of trials."""
        number: int = trial.number
        return number // POPULATION

    def get_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """The trials of a generation that have scores."""
        trials = study.get_trials(deepcopy=False)[generation * POPULATION : (generation + 1) * POPULATION]
        return [trial for trial in trials if trial.state == TrialState.COMPLETE]

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """The parents of a generation, chosen once."""
        known: dict[int, list[FrozenTrial]] = self.__dict__.setdefault("_parents", {0: []})
        if generation not in known:
            known[generation] = self.select_parent(study, generation)
        return known[generation]


class InOrder(BaseSampler):
    """All architectures of a list, one a trial."""

    def __init__(self, answers: Sequence[Mapping[str, Any]]) -> None:
        """Take the answers of each to all questions."""
        self._answers = answers

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Nothing is drawn."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing."""
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The answer of the trial's architecture."""
        return self._answers[trial.number][param_name]


def in_order(space: SearchSpace[Any], questions: Mapping[str, Choice]) -> InOrder:
    """What asks for every architecture of a listed space once."""
    places = space.capability(Decisions).decode(space.capability(Enumerated).enumerate()).clamp(min=0)
    options = {
        name: _labels(choice) if isinstance(choice, Categorical) else [*map(choice.option, range(choice.size or 1))]
        for name, choice in questions.items()
    }
    return InOrder(
        [{name: of[at] for (name, of), at in zip(options.items(), row, strict=True)} for row in places.tolist()]
    )


class Asked(Proposals):
    """What a sampler asks for.

    Attributes:
        study: in memory, or the user's in a storage, which gets every trial of a finished batch.
    """

    learns = True

    def __init__(
        self,
        questions: Mapping[str, Choice],
        costs: Sequence[Cost],
        objectives: Sequence[str],
        *,
        sampler: str | BaseSampler | None,
        storage: Any,
        name: str,
        seed: int,
    ) -> None:
        """Make the study, which maximises all objectives."""
        self._questions, self._costs = questions, costs
        self._distributions = {key: distribution(choice) for key, choice in questions.items()}
        directions = ["maximize"] * len(objectives)
        with _quiet():
            self._memory = optuna.create_study(sampler=_sampler(sampler, seed), directions=directions)
            self.study = self._memory
            self._stored: list[FrozenTrial] = []
            if storage is not None:
                with _from_storage():
                    self.study = optuna.create_study(
                        storage=storage, study_name=name, directions=directions, load_if_exists=True
                    )
                    self._stored = self.study.get_trials(deepcopy=False)
            self._memory.set_metric_names(list(objectives))
            if len(self.study.directions) != len(directions):
                came = len(self.study.directions)
                raise ValueError(f"storage: expected a study of {len(directions)} objectives, got one of {came}")
            self.study.set_metric_names(list(objectives))
        self._trials: list[optuna.Trial] = []
        self._ended = False
        vars(self._memory)["stop"] = (
            self._stop
        )  # what a sampler calls that has no more, and what only loops of Optuna take

    def begin(self, claims: str) -> dict[str, Row]:
        """The rows of trials that an earlier run has left in the storage, by proposal.

        Args:
            claims: a checksum of all that a row depends on beside the proposal.

        Raises:
            ValueError: the trials there depend on something else.
        """
        if self._stored and self.study.user_attrs.get(_CLAIMS, claims) != claims:
            raise ValueError(
                f"storage: expected an earlier run of the same design in study {self.study.study_name!r}, got one of "
                f"other limits, scores, pictures, weights or code, or with an example that is drawn without a seed; "
                f"give the study another name"
            )
        with _from_storage():
            self.study.set_user_attr(_CLAIMS, claims)
            unfinished = json.loads(self.study.user_attrs.get(_UNFINISHED, "{}"))
            rows = {proposal: _row(row) for proposal, row in unfinished.items()}
            for trial in self._stored:
                if _ROW in trial.user_attrs and trial.distributions == self._distributions:
                    rows[self._proposal(trial.params)] = _row(json.loads(trial.user_attrs[_ROW]))
        return rows

    def next(self, n: int) -> list[str]:
        """The next n proposals of the sampler."""
        if self._ended:
            return []
        with _quiet():
            self._trials = [self._memory.ask(self._distributions) for _ in range(n)]
        return [self._proposal(trial.params) for trial in self._trials]

    def tell(self, proposals: Sequence[str], rows: Sequence[Row], scores: Sequence[Sequence[float] | None]) -> None:
        """Tell the sampler, and the storage."""
        for trial, row, values in zip(self._trials, rows, scores, strict=True):
            trial.set_user_attr("architecture", row[TEXT][1])
            trial.set_user_attr(_ROW, json.dumps(row))
            over = excess(self._costs, {name: number for name, (number, _) in row.items()}) if not row[BUILT][1] else {}
            _constrain(trial, over)
            if values is None and not any(share > 0 for share in over.values()):
                self._memory.tell(trial, state=TrialState.FAIL)
            else:
                self._memory.tell(trial, values or [-math.inf] * len(self._memory.directions))
        if self.study is not self._memory:
            self._mirror()

    def keep(self, rows: Mapping[str, Row]) -> None:
        """Keep them in the storage, beside the trials: a sampler is told whole batches alone."""
        if self.study is not self._memory:
            with _from_storage():
                self.study.set_user_attr(_UNFINISHED, json.dumps(rows))

    def _stop(self) -> None:
        self._ended = True

    def _mirror(self) -> None:
        """Add the trials of the batch to the storage, but for those that an earlier run has added."""
        for trial in self._memory.get_trials(deepcopy=False)[-len(self._trials) :]:
            if trial.number >= len(self._stored):
                with _from_storage():
                    self.study.add_trial(trial)
            elif self._stored[trial.number].params != trial.params:
                raise ValueError(
                    f"storage: expected an earlier run of the same design in study {self.study.study_name!r}, got "
                    f"another one from trial {trial.number} on; give the study another name"
                )

    def _proposal(self, params: Mapping[str, Any]) -> str:
        """Answers as JSON: the place of each option, a number of a range without steps as it is."""
        return json.dumps({key: place(self._questions[key], params[key]) for key in self._questions})


def _row(values: Mapping[str, Sequence[Any]]) -> Row:
    """A row of JSON values."""
    return {name: (float(number), str(why)) for name, (number, why) in values.items()}


def distribution(choice: Choice) -> BaseDistribution:
    """Optuna's name for what may be chosen."""
    if isinstance(choice, Categorical):
        return CategoricalDistribution(_labels(choice))
    low, high = choice.low, choice.high if choice.size is None else choice.option(choice.size - 1)
    if choice.whole:
        return IntDistribution(int(low), int(high), log=choice.log, step=int(choice.step or 1))
    return FloatDistribution(low, high, log=choice.log, step=choice.step)


def place(choice: Choice, value: Any) -> Any:
    """The place of a value among the options; the value itself of a range without steps."""
    if isinstance(choice, Categorical):
        return _labels(choice).index(value)
    if choice.size is None:
        return value
    return round((value - choice.low) / choice.step) if choice.step else 0


def _labels(choice: Categorical) -> tuple[Any, ...]:
    """The options, or their JSON where Optuna takes them for equal or does not take them at all."""
    plain = all(option is None or isinstance(option, (bool, int, float, str)) for option in choice.options)
    if plain and len(set(choice.options)) == len(choice.options):
        return choice.options
    return tuple(json.dumps(option) for option in choice.options)


def _sampler(sampler: str | BaseSampler | None, seed: int) -> BaseSampler:
    if isinstance(sampler, BaseSampler):
        return sampler
    kind = Generations if sampler in (None, "nsga2") else getattr(optuna.samplers, SAMPLERS[str(sampler)])
    given: dict[str, Any] = {"seed": seed % 2**32}
    if sampler in (None, "nsga2", "nsga3"):
        given["population_size"] = POPULATION
    if sampler not in ("random", "brute_force", "qmc") and not hasattr(optuna.Trial, "set_constraint"):
        given["constraints_func"] = _over
    with _quiet():
        made: BaseSampler = kind(**given)
    return made


def _over(trial: FrozenTrial) -> Sequence[float]:
    """By how large a share a trial exceeds each limit, as Optuna 4 asks; a function with a name, so that it pickles."""
    found: Sequence[float] = trial.user_attrs.get(_OVER, [])
    return found


def _constrain(trial: optuna.Trial, over: Mapping[str, float]) -> None:
    if hasattr(trial, "set_constraint"):  # Optuna 5
        for name, share in over.items():
            trial.set_constraint(name, share if share == share else math.inf)
    else:
        trial.set_user_attr(_OVER, [share if share == share else math.inf for share in over.values()])


@contextmanager
def _from_storage() -> Iterator[None]:
    """Turn whatever a storage raises, which may be any database's, into the one error."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"storage: {type(error).__name__}: {first_line(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's lines on new studies and its warnings of what is experimental."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)
