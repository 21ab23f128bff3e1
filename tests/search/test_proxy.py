import pyarrow
import pytest
import torch

from zcfast import search
from zcfast.testing.algorithm import drawn_scores

RANDOM = search.random_search()


@pytest.mark.parametrize(
    ("scores", "n", "message"),
    [
        (torch.full((10,), torch.nan), 3, "scores: expected at least one score that is a number, got NaN only"),
        (torch.zeros(10), 11, "warm-up: expected 1 to 10 architectures, the size of the space, got 11"),
        (torch.zeros(10), 0, "warm-up: expected 1 to 10 architectures"),
        (
            torch.zeros(10, 2),
            1,
            r"scores: expected numbers \[N\], one for each architecture of the space, got .* \[10, 2",
        ),
        (["a", "b"], 1, "scores: expected real numbers, got <U1"),
        ([1.0, 2.0], 1.5, "n: expected an integer, got 1.5"),
    ],
)
def test_bad_scores(scores, n, message):
    with pytest.raises(ValueError, match=message):
        search.warmup(RANDOM, scores, n)


def test_scores_from_other_libraries():
    scores = drawn_scores("nasbench201")
    expected = search.warmup(RANDOM, scores, 10).initial.places
    for column in (scores.numpy()[::-1][::-1], scores.tolist(), pyarrow.array(scores.numpy())):
        assert torch.equal(search.warmup(RANDOM, column, 10).initial.places, expected)
        assert torch.equal(search.move_proposal(search.ageing_evolution(), column).move.places, expected)


def test_random_search_has_no_moves():
    with pytest.raises(ValueError, match="move proposal: expected an algorithm that takes one, got random_search"):
        search.move_proposal(RANDOM, drawn_scores("nasbench201"))


def test_a_damaged_state_is_one_error(tmp_path):
    path = tmp_path / "state.pt"
    with pytest.raises(
        ValueError, match=r"kind: expected a kind of state, which algorithm\.state names, got RandomSearch"
    ):
        search.load_state(RANDOM, path)
    with pytest.raises(ValueError, match=r"state.pt: expected a saved state of a search, got none"):
        search.load_state(search.random_search.state, path)
    path.write_bytes(b"no state")
    with pytest.raises(ValueError, match="expected a saved state of a search, got another file"):
        search.load_state(search.random_search.state, path)
    torch.save({"zcfast": 1, "kind": "RandomState", "streams": torch.zeros(1), "fields": {}}, path)
    with pytest.raises(ValueError, match="expected a saved state of a search, got one with other fields"):
        search.load_state(search.random_search.state, path)
    search.save_state(RANDOM.init("nasbench201", runs=2), path)
    with pytest.raises(ValueError, match="expected a saved state of a search of kind SearchState, got RandomState"):
        search.load_state(search.SearchState, path)
