"""What every search algorithm keeps to: a class of tests to inherit from."""

import dataclasses
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from zcfast import search
from zcfast.search import Algorithm
from zcfast.spaces import Sizes, space

VARIANTS = ("plain", "warm", "move", "warm and move")


@cache
def drawn_accuracies(name: str, failed: float = 0.1) -> Tensor:
    """An accuracy for each architecture of a space, with ties, a tenth of them NaN."""
    generator = torch.Generator().manual_seed(7)
    accuracies = torch.randint(2000, (len(space(name)),), generator=generator) / 20.0
    accuracies[torch.rand(len(accuracies), generator=generator) < failed] = torch.nan
    return accuracies.double()


@cache
def drawn_scores(name: str) -> Tensor:
    """A score that knows something of the sizes and of the accuracies, with ties, NaN and -inf."""
    generator, found = torch.Generator().manual_seed(8), space(name)
    known = drawn_accuracies(name).nan_to_num(50) / 5
    if found.offers(Sizes) is not None:
        sizes = found.capability(Sizes).params(found.enumerate()).double()
        known = known + 20 * (sizes - sizes.mean()) / sizes.std()
    scores = (known + 5 * torch.randn(len(known), generator=generator)).round()
    scores[torch.rand(len(scores), generator=generator) < 0.05] = torch.nan
    scores[torch.rand(len(scores), generator=generator) < 0.05] = -torch.inf
    return scores


def advance(algorithm: Algorithm[Any], state: Any, accuracies: Tensor, steps: int) -> tuple[Tensor, Any]:
    """Ask and tell `steps` times: rows [R, steps] and the state."""
    rows = []
    for _ in range(steps):
        asked, state = algorithm.ask(state)
        state = algorithm.tell(state, asked, accuracies[asked])
        rows.append(asked)
    return torch.stack(rows, 1), state


class AlgorithmContract:
    """Tests of an algorithm, plain and as the wrappers change it.

    Attributes:
        spaces: names of listed spaces.
        repeats: whether a run may train an architecture twice.
        steps: a number of trainings that reaches every phase of the algorithm.
        warm, ratio: of the wrappers.
        threaded_runs: enough that torch splits the algorithm's work between threads.
    """

    spaces: ClassVar[tuple[Any, ...]]
    repeats: ClassVar[bool] = False
    steps: ClassVar[int] = 120
    warm: ClassVar[int] = 200
    ratio: ClassVar[float | None] = None
    threaded_runs: ClassVar[int] = 40

    def make(self) -> Algorithm[Any]:
        """The algorithm."""
        raise NotImplementedError

    def variants(self, name: str) -> list[Algorithm[Any]]:
        """The algorithm and what the wrappers make of it, as VARIANTS has them."""
        algorithm, scores = self.make(), drawn_scores(name)
        made = [algorithm, search.warmup(algorithm, scores, self.warm)]
        if algorithm.proposes_moves:
            made += [search.move_proposal(each, scores, self.ratio) for each in made]
        return made

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Each test on each space and variant."""
        if "name" in metafunc.fixturenames:
            metafunc.parametrize("name", self.spaces)
        if "variant" in metafunc.fixturenames:
            metafunc.parametrize("variant", VARIANTS[: 4 if self.make().proposes_moves else 2])

    @pytest.fixture
    def algorithm(self, name: str, variant: str) -> Algorithm[Any]:
        """One of the variants."""
        return self.variants(name)[VARIANTS.index(variant)]

    @pytest.fixture(autouse=True)
    def _threads(self) -> Iterator[None]:
        before = torch.get_num_threads()
        yield
        torch.set_num_threads(before)

    def test_rows_are_of_the_space_and_states_hold_a_row_a_run(self, algorithm: Algorithm[Any], name: str) -> None:
        """Rows are of the space and states hold a row a run."""
        state = algorithm.init(name, runs=5, seed=3)
        assert isinstance(state, algorithm.state)
        rows, state = advance(algorithm, state, drawn_accuracies(name), self.steps)
        assert rows.dtype == torch.int64
        assert 0 <= rows.min() <= rows.max() < len(space(name))
        assert (state.runs, state.asked, state.told) == (5, self.steps, self.steps)
        for value in vars(state).values():
            assert not isinstance(value, torch.Tensor) or len(value) == 5
        assert self.repeats or all(len(run.unique()) == self.steps for run in rows)

    def test_a_run_is_the_same_beside_any_others(self, algorithm: Algorithm[Any], name: str) -> None:
        """A run is the same beside any others."""
        accuracies = drawn_accuracies(name)
        together, _ = advance(algorithm, algorithm.init(name, runs=9, seed=3), accuracies, self.steps)
        for run in (0, 4, 8):
            alone, _ = advance(algorithm, algorithm.init(name, runs=1, seed=3, first_run=run), accuracies, self.steps)
            assert torch.equal(alone[0], together[run])
        other, _ = advance(algorithm, algorithm.init(name, runs=9, seed=4), accuracies, self.steps)
        assert (other != together).any(1).all()
        assert (together[1:] != together[:-1]).any(1).all()

    def test_threads_change_nothing(self, algorithm: Algorithm[Any], name: str) -> None:
        """Threads change nothing."""
        results = []
        for threads, runs in ((1, self.threaded_runs), (3, self.threaded_runs), (1, 1), (3, 1)):
            torch.set_num_threads(threads)
            state = algorithm.init(name, runs=runs)
            results.append(advance(algorithm, state, drawn_accuracies(name), self.steps)[0])
        assert torch.equal(results[0], results[1])
        for alone in results[2:]:  # libraries may share one run's sums among the threads
            assert torch.equal(alone[0], results[0][0])

    def test_look_ups_of_many_steps_equal_one_by_one(self, algorithm: Algorithm[Any], name: str) -> None:
        """Look ups of many steps equal one by one."""
        accuracies = drawn_accuracies(name, 0.4)
        expected, last = advance(algorithm, algorithm.init(name, runs=3), accuracies, self.steps)
        state = algorithm.init(name, runs=3)
        first, state = algorithm.advance(state, accuracies, 9)
        rest, state = algorithm.advance(state, accuracies, self.steps - 9)
        assert torch.equal(torch.cat([first, rest], 1), expected)
        for field, value in vars(last).items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(value.nan_to_num(), getattr(state, field).nan_to_num())
        assert (state.asked, state.told) == (last.asked, last.told)
        with pytest.raises(ValueError, match=r"accuracies: expected shape \["):
            algorithm.advance(state, accuracies[:5], 1)

    def test_a_saved_state_goes_on_as_if_uninterrupted(
        self, algorithm: Algorithm[Any], name: str, tmp_path: Path
    ) -> None:
        """A saved state goes on as if uninterrupted."""
        accuracies = drawn_accuracies(name)
        state = algorithm.init(name, runs=3)
        for until in (1, 7, self.steps - 7):
            _, state = advance(algorithm, algorithm.init(name, runs=3), accuracies, until)
            search.save_state(state, tmp_path / "state.pt")
            loaded = search.load_state(algorithm.state, tmp_path / "state.pt")
            expected, _ = advance(algorithm, state, accuracies, 7)
            assert torch.equal(advance(algorithm, loaded, accuracies, 7)[0], expected)

    def test_a_damaged_state_is_refused(self, algorithm: Algorithm[Any], name: str, tmp_path: Path) -> None:
        """A damaged state is refused."""
        path, size = tmp_path / "state.pt", len(space(name))
        _, state = advance(algorithm, algorithm.init(name, runs=3), drawn_accuracies(name), 7)
        damaged = [("asked", -1), ("asked", "7"), ("told", state.asked + 1), ("asked", 2**62), ("space", "no space")]
        for field in algorithm.state.of_rows:
            rows = getattr(state, field)
            damaged += [(field, rows[:2]), (field, None)]
            damaged += [(field, torch.full_like(rows, number)) for number in (-1, size, 2**62) if rows.numel()]
        for field, value in damaged:
            search.save_state(dataclasses.replace(state, **{field: value}), path)
            with pytest.raises(
                ValueError, match=f"{path}: expected a saved state of a search, got a damaged one: .*"
            ) as e:
                search.load_state(algorithm.state, path)
            assert field in str(e.value) or "told" in str(e.value)
            assert "\n" not in str(e.value)

    def test_a_flipped_bit_of_a_state_is_noticed(self, algorithm: Algorithm[Any], name: str, tmp_path: Path) -> None:
        """A flipped bit of a state is noticed."""
        path = tmp_path / "state.pt"
        _, state = advance(algorithm, algorithm.init(name, runs=3), drawn_accuracies(name), 7)
        search.save_state(state, path)
        content = bytearray(path.read_bytes())
        content[content.index(state.streams.keys.numpy().tobytes())] ^= 1
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"the checksum of .* does not match"):
            search.load_state(algorithm.state, path)

    def test_asking_and_telling_change_no_earlier_state(self, algorithm: Algorithm[Any], name: str) -> None:
        """Asking and telling change no earlier state."""
        accuracies = drawn_accuracies(name)
        _, state = advance(algorithm, algorithm.init(name, runs=3), accuracies, self.steps - 10)
        first, _ = advance(algorithm, state, accuracies, 10)
        assert torch.equal(advance(algorithm, state, accuracies, 10)[0], first)

    def test_nan_only_never_crashes(self, algorithm: Algorithm[Any], name: str) -> None:
        """Nan only never crashes."""
        rows, _ = advance(algorithm, algorithm.init(name, runs=3), drawn_accuracies(name) * torch.nan, self.steps)
        assert rows.shape == (3, self.steps)

    def test_units_do_not_matter(self, algorithm: Algorithm[Any], name: str) -> None:
        """Units do not matter."""
        accuracies = drawn_accuracies(name)
        rows, _ = advance(algorithm, algorithm.init(name, runs=3), accuracies, self.steps)
        assert torch.equal(advance(algorithm, algorithm.init(name, runs=3), accuracies / 128, self.steps)[0], rows)

    def test_told_late_and_in_any_order(self, algorithm: Algorithm[Any], name: str) -> None:
        """Told late and in any order."""
        accuracies, pending = drawn_accuracies(name), []
        state = algorithm.init(name, runs=3)
        seen = []
        for step in range(self.steps):
            rows, state = algorithm.ask(state)
            pending.append(rows)
            seen.append(rows)
            if len(pending) == 5:
                told = pending.pop(step % 5)
                state = algorithm.tell(state, told, accuracies[told])
        runs = torch.stack(seen, 1)
        assert (state.asked, state.told) == (self.steps, self.steps - len(pending))
        assert 0 <= runs.min() <= runs.max() < len(space(name))
        assert self.repeats or all(len(run.unique()) == self.steps for run in runs)

    def test_errors_name_what_is_wrong(self, algorithm: Algorithm[Any], name: str) -> None:
        """Errors name what is wrong."""
        with pytest.raises(ValueError, match="runs: expected a number >= 1, got 0"):
            algorithm.init(name, runs=0)
        with pytest.raises(ValueError, match="seed and first_run"):
            algorithm.init(name, runs=1, seed=-1)
        with pytest.raises(ValueError, match="unknown search space"):
            algorithm.init("no space", runs=1)
        state = algorithm.init(name, runs=2)
        rows, asked = algorithm.ask(state)
        with pytest.raises(ValueError, match="tell: expected at most one for each ask, got 1 for 0"):
            algorithm.tell(state, rows, rows.double())
        with pytest.raises(ValueError, match=r"rows and accuracies: expected shape \[2\], got \[2\] and \[3\]"):
            algorithm.tell(asked, rows, torch.zeros(3))

    def test_scores_of_another_space_are_refused(self, name: str) -> None:
        """Scores of another space are refused."""
        with pytest.raises(ValueError, match=rf"scores: expected {len(space(name))} of"):
            search.warmup(self.make(), drawn_scores(name)[1:], self.warm).init(name, runs=1)

    def test_the_best_scored_come_first_with_warm_up(self, name: str) -> None:
        """The best scored come first with warm up."""
        plain, warm = self.variants(name)[:2]
        scores, accuracies = drawn_scores(name), drawn_accuracies(name)
        means = [
            scores[advance(each, each.init(name, runs=20), accuracies, 10)[0]].nan_to_num(neginf=-200).mean()
            for each in (plain, warm)
        ]
        assert means[1] > means[0]
