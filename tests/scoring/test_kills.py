from pathlib import Path

import pytest

from tests.scoring.kills import main


@pytest.mark.usefixtures("one_thread")
@pytest.mark.skipif(not Path("/proc").exists(), reason="forks and signals as Linux has them")
@pytest.mark.slow
def test_nothing_is_lost_wrong_or_hangs():
    counts = main(events=8)
    assert (counts["lost"], counts["wrong"], counts["hangs"]) == (0, 0, 0)
