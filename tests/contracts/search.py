"""What every search algorithm has to keep: a class of tests to inherit from.

    class TestMine(SearchContract):
        def make(self):
            return mine(option=3)

Set `repeats = True` where a run may train an architecture twice, and `steps` to a number of trainings that reaches
every phase of the algorithm; `warm` and `ratio` are those of the wrappers. `threaded_runs` are enough that torch splits
the algorithm's work between threads.
"""

import dataclasses
from functools import cache

import pytest
import torch

from zcfast import search
from zcfast.spaces import space


@cache
def drawn_accuracies(name: str, failed: float = 0.1) -> torch.Tensor:
    """An accuracy for each architecture of a space, with ties, a tenth of them NaN."""
    generator = torch.Generator().manual_seed(7)
    accuracies = torch.randint(2000, (len(space(name)),), generator=generator) / 20.0
    accuracies[torch.rand(len(accuracies), generator=generator) < failed] = torch.nan
    return accuracies.double()


@cache
def drawn_scores(name: str) -> torch.Tensor:
    """A score that knows something of the sizes and of the accuracies, with ties, NaN and -inf."""
    generator = torch.Generator().manual_seed(8)
    sizes = space(name).params(space(name).enumerate()).double()
    known = drawn_accuracies(name).nan_to_num(50) / 5 + 20 * (sizes - sizes.mean()) / sizes.std()
    scores = (known + 5 * torch.randn(len(known), generator=generator)).round()
    scores[torch.rand(len(scores), generator=generator) < 0.05] = torch.nan
    scores[torch.rand(len(scores), generator=generator) < 0.05] = -torch.inf
    return scores


def advance(algorithm, state, accuracies, steps):
    """Ask and tell `steps` times: rows [R, steps] and the state."""
    rows = []
    for _ in range(steps):
        asked, state = algorithm.ask(state)
        state = algorithm.tell(state, asked, accuracies[asked])
        rows.append(asked)
    return torch.stack(rows, 1), state


class SearchContract:
    repeats = False
    steps = 120
    warm = 200
    ratio: float | None = None
    threaded_runs = 40

    def make(self):
        raise NotImplementedError

    def variants(self, name):
        algorithm, scores = self.make(), drawn_scores(name)
        made = [algorithm, search.warmup(algorithm, scores, self.warm)]
        if algorithm.proposes_moves:
            made += [search.move_proposal(each, scores, self.ratio) for each in made]
        return made

    @pytest.fixture(params=[pytest.param("nasbench101", marks=pytest.mark.slow), "nasbench201"])
    def name(self, request):
        return request.param

    @pytest.fixture(params=[0, 1, 2, 3], ids=["plain", "warm", "move", "warm and move"])
    def algorithm(self, name, request):
        variants = self.variants(name)
        if request.param >= len(variants):
            pytest.skip("proposes no moves")
        return variants[request.param]

    def test_rows_are_of_the_space_and_states_hold_a_row_a_run(self, algorithm, name):
        state = algorithm.init(name, runs=5, seed=3)
        assert isinstance(state, algorithm.state)
        rows, state = advance(algorithm, state, drawn_accuracies(name), self.steps)
        assert rows.dtype == torch.int64
        assert 0 <= rows.min() <= rows.max() < len(space(name))
        assert (state.runs, state.asked, state.told) == (5, self.steps, self.steps)
        for value in vars(state).values():
            assert not isinstance(value, torch.Tensor) or len(value) == 5
        assert self.repeats or all(len(run.unique()) == self.steps for run in rows)

    def test_a_run_is_the_same_beside_any_others(self, algorithm, name):
        accuracies = drawn_accuracies(name)
        together, _ = advance(algorithm, algorithm.init(name, runs=9, seed=3), accuracies, self.steps)
        for run in (0, 4, 8):
            alone, _ = advance(algorithm, algorithm.init(name, runs=1, seed=3, first_run=run), accuracies, self.steps)
            assert torch.equal(alone[0], together[run])
        other, _ = advance(algorithm, algorithm.init(name, runs=9, seed=4), accuracies, self.steps)
        assert (other != together).any(1).all()
        assert (together[1:] != together[:-1]).any(1).all()

    def test_threads_change_nothing(self, algorithm, name):
        before, results = torch.get_num_threads(), []
        try:
            for threads, runs in ((1, self.threaded_runs), (3, self.threaded_runs), (1, 1), (3, 1)):
                torch.set_num_threads(threads)
                state = algorithm.init(name, runs=runs)
                results.append(advance(algorithm, state, drawn_accuracies(name), self.steps)[0])
        finally:
            torch.set_num_threads(before)
        assert torch.equal(results[0], results[1])
        for alone in results[2:]:  # libraries may share one run's sums among the threads
            assert torch.equal(alone[0], results[0][0])

    def test_look_ups_of_many_steps_equal_one_by_one(self, algorithm, name):
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

    def test_a_saved_state_goes_on_as_if_uninterrupted(self, algorithm, name, tmp_path):
        accuracies = drawn_accuracies(name)
        state = algorithm.init(name, runs=3)
        for until in (1, 7, self.steps - 7):
            _, state = advance(algorithm, algorithm.init(name, runs=3), accuracies, until)
            search.save_state(state, tmp_path / "state.pt")
            loaded = search.load_state(algorithm.state, tmp_path / "state.pt")
            expected, _ = advance(algorithm, state, accuracies, 7)
            assert torch.equal(advance(algorithm, loaded, accuracies, 7)[0], expected)

    def test_a_damaged_state_is_refused(self, algorithm, name, tmp_path):
        """Before a search follows its numbers."""
        path, size = tmp_path / "state.pt", len(space(name))
        _, state = advance(algorithm, algorithm.init(name, runs=3), drawn_accuracies(name), 7)
        damaged = [("asked", -1), ("asked", "7"), ("told", state.asked + 1), ("asked", 2**62), ("space", "nasbench999")]
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

    def test_a_flipped_bit_of_a_state_is_noticed(self, algorithm, name, tmp_path):
        path = tmp_path / "state.pt"
        _, state = advance(algorithm, algorithm.init(name, runs=3), drawn_accuracies(name), 7)
        search.save_state(state, path)
        content = bytearray(path.read_bytes())
        content[content.index(state.streams.keys.numpy().tobytes())] ^= 1
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"the checksum of .* does not match"):
            search.load_state(algorithm.state, path)

    def test_asking_and_telling_change_no_earlier_state(self, algorithm, name):
        accuracies = drawn_accuracies(name)
        _, state = advance(algorithm, algorithm.init(name, runs=3), accuracies, self.steps - 10)
        first, _ = advance(algorithm, state, accuracies, 10)
        assert torch.equal(advance(algorithm, state, accuracies, 10)[0], first)

    def test_nan_only_never_crashes(self, algorithm, name):
        rows, _ = advance(algorithm, algorithm.init(name, runs=3), drawn_accuracies(name) * torch.nan, self.steps)
        assert rows.shape == (3, self.steps)

    def test_units_do_not_matter(self, algorithm, name):
        accuracies = drawn_accuracies(name)
        rows, _ = advance(algorithm, algorithm.init(name, runs=3), accuracies, self.steps)
        assert torch.equal(advance(algorithm, algorithm.init(name, runs=3), accuracies / 128, self.steps)[0], rows)

    def test_told_late_and_in_any_order(self, algorithm, name):
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

    def test_errors_name_what_is_wrong(self, algorithm, name):
        with pytest.raises(ValueError, match="runs: expected a number >= 1, got 0"):
            algorithm.init(name, runs=0)
        with pytest.raises(ValueError, match="seed and first_run"):
            algorithm.init(name, runs=1, seed=-1)
        with pytest.raises(ValueError, match="unknown search space"):
            algorithm.init("nasbench", runs=1)
        state = algorithm.init(name, runs=2)
        rows, asked = algorithm.ask(state)
        with pytest.raises(ValueError, match="tell: expected at most one for each ask, got 1 for 0"):
            algorithm.tell(state, rows, rows.double())
        with pytest.raises(ValueError, match=r"rows and accuracies: expected shape \[2\], got \[2\] and \[3\]"):
            algorithm.tell(asked, rows, torch.zeros(3))

    def test_scores_of_another_space_are_refused(self, name):
        other = "nasbench201" if name == "nasbench101" else "nasbench101"
        with pytest.raises(ValueError, match=rf"scores: expected {len(space(other))} of"):
            search.warmup(self.make(), drawn_scores(name), self.warm).init(other, runs=1)

    def test_the_best_scored_come_first_with_warm_up(self, name):
        """Whatever an algorithm does with the scores, its first trainings score higher than without them."""
        plain, warm = self.variants(name)[:2]
        scores, accuracies = drawn_scores(name), drawn_accuracies(name)
        means = [
            scores[advance(each, each.init(name, runs=20), accuracies, 10)[0]].nan_to_num(neginf=-200).mean()
            for each in (plain, warm)
        ]
        assert means[1] > means[0]
