"""The kernels' own sources on the CPU: simt.h says how, the programs beside it what is compared."""

import pytest

from tests.simt import build

RACE = "ThreadSanitizer: data race"
# What finds each planted bug for certain; drawn schedules alone find most of them too.
PLANTED = {
    "no_barrier_before_read": ("tsan", RACE),
    "no_barrier_before_reuse": ("tsan", RACE),
    "no_warp_barrier": ("tsan", RACE),
    "blocks_race": ("tsan", RACE),
    "divergent_barrier": ("plain", "threads of one block meet at different places"),
    "exit_before_shuffle": ("plain", "exits while its warp waits in"),
    "read_before_write": ("plain", "wrong result"),
    "shared_out_of_bounds": ("asan", "heap-buffer-overflow"),
    "misaligned_vector": ("asan", "misaligned address"),
}
KERNELS = {
    "nasbench101_expected_synflow": ("the_benchmarks_network", "other_networks"),
    "jacobian_correlation": ("drawn_small", "drawn_large", "singular", "a_batch", "a_row_without_correlations"),
    "fisher_reduce": ("drawn_rows", "drawn_positions", "nothing", "nan_inf_and_overflow"),
    "saliency_reduce": ("drawn_nets", "a_full_table", "nan_and_inf", "products_out_of_range"),
    "search": ("bits_of_drawn_keys", "evolution_of_drawn_spaces", "evolution_of_broken_tables"),
    "nasbench101": ("index_of_drawn_cells", "index_of_enumerated_cells", "neighbours_of_drawn_cells", "broken_tables"),
}


pytestmark = pytest.mark.simt


@pytest.fixture
def run(request):
    cache = request.config.cache.mkdir("simt")
    return lambda name, variant, case: build.run(name, variant, case, cache)


@pytest.mark.parametrize("variant", build.MACHINE)
def test_a_correct_kernel_passes(run, variant):
    done = run("planted_bugs", variant, "none")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("switch", ["", build.PORTABLE])
@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(run, bug, switch):
    variant, message = PLANTED[bug]
    done = run("planted_bugs", switch + variant, bug)
    assert done.returncode != 0
    assert message in done.stderr


@pytest.mark.parametrize("bug", PLANTED)
def test_schedules_without_sanitizers_find_planted_bugs(run, bug):
    done = run("planted_bugs", "plain", bug)
    assert done.returncode == 1
    assert done.stderr.startswith(("violation: ", "wrong result: "))


@pytest.mark.parametrize("variant", ["plain", "asan", "tsan"])
@pytest.mark.parametrize(("program", "case"), [(name, case) for name, cases in KERNELS.items() for case in cases])
def test_kernels(run, program, case, variant):
    done = run(program, variant, case)
    assert done.returncode == 0, done.stderr
