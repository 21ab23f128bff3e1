"""Executors: the same results anywhere, and workers that end with what started them."""

import os
import pty
import signal
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import torch

import zcfast
from tests.scoring.shared import (
    PROXIES,
    SMALL,
    SPACE,
    assert_gone,
    assert_same,
    end,
    images,
    is_running,
    score,
    start,
)
from tests.scoring.tasks import leave, sleep, square
from zcfast.scoring.execution import Executor, InProcess, Processes, WorkerEnded

linux = pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")


@pytest.fixture(params=[InProcess(), Processes(1), Processes(2)], ids=["here", "one process", "two processes"])
def executor(request):
    return request.param


def test_every_item_once(executor):
    assert sorted(executor.map(square, range(9))) == [(number, number * number) for number in range(9)]
    assert list(executor.map(square, [])) == []


@pytest.mark.parametrize(("item", "error", "text"), [(13, LookupError, "unlucky"), (14, Exception, "does not pickle")])
def test_what_the_task_raises_is_raised(executor, item, error, text):
    with pytest.raises(error, match=text), closing(executor.map(square, [1, item])) as results:
        list(results)


def test_what_does_not_pickle_is_said():
    with pytest.raises(ValueError, match="workers: expected what another process can import, got"):
        list(Processes(2).map(lambda item: item, [1, 2]))


@linux
def test_closing_ends_the_processes():
    results = Processes(2).map(sleep, [0, 0, 60, 60])
    first, second = next(results)[1], next(results)[1]
    results.close()
    assert_gone([first, second], 5)


@linux
@pytest.mark.parametrize(
    ("how", "text"),
    [
        (3, "that scores ended by itself with exit code 3$"),
        (-signal.SIGKILL, "that scores was killed, perhaps for its memory; fewer workers take less$"),
        (-signal.SIGSEGV, "that scores was ended by SIGSEGV$"),
    ],
)
def test_a_worker_that_ends_says_how(how, text):
    with pytest.raises(WorkerEnded, match=text) as caught:
        list(Processes(2).map(leave, [0, how]))
    assert caught.value.place == 1


@pytest.mark.usefixtures("one_thread")
def test_results_are_bit_identical_for_any_number_of_workers():
    expected = score()
    assert list(expected.reasons) == ["jacob_cov"]
    done = []
    torch.set_num_threads(2)
    assert_same(score(workers=1), expected)
    assert torch.get_num_threads() == 2
    assert_same(score(workers=2, progress=lambda *at: done.append(at)), expected)
    assert done == [(0, 3), (1, 3), (2, 3), (3, 3)]


class Backwards(Executor):
    """A user's own, that finishes the last item first."""

    def map(self, task, items):
        for place in reversed(range(len(items))):
            yield place, task(items[place])


@pytest.mark.usefixtures("one_thread")
def test_an_executor_of_the_users_own(tmp_path):
    assert_same(score(executor=Backwards(), parts=tmp_path), score())


def design(**options):
    return zcfast.design(SPACE, **options)


class Broken(Executor):
    """Gives what its function makes of pairs, which may be no more what was asked for."""

    def __init__(self, given):
        self.given = given

    def map(self, task, items):
        return self.given((place, task(item)) for place, item in enumerate(items))


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (lambda pairs: (each for each in list(pairs)[1:]), ValueError, "a result for each of 3 items, got none for 1"),
        (lambda pairs: ((0, row) for _, row in pairs), ValueError, "expected each place below 3 once, got 0"),
        (lambda pairs: ((place - 1, row) for place, row in pairs), ValueError, "once, got -1"),
        (lambda pairs: (row for _, row in pairs), TypeError, r"expected map to give pairs \(place, result\), got dict"),
        (lambda pairs: None, TypeError, "expected map to be a generator of .*, got NoneType"),
    ],
)
def test_an_executor_that_loses_results_is_an_error(given, kind, message):
    with pytest.raises(kind, match=message):
        score(["snip"], executor=Broken(given))
    with pytest.raises(kind, match=message):
        design(by=["snip"], sampler="random", evaluations=3, images=images(), **SMALL, executor=Broken(given))


@pytest.mark.parametrize("call", [score, design])
def test_an_executor_of_another_kind_is_refused(call):
    with pytest.raises(TypeError, match=r"executor: expected a zcfast\.scoring\.Executor, got <class 'map'>"):
        call(executor=map)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workers": 0}, "workers: expected a number >= 1, got 0"),
        ({"workers": 1.5}, "workers: expected an integer, got 1.5"),
        ({"parts": "here"}, "parts: no effect without workers"),
        ({"workers": 1, "executor": InProcess()}, "executor: expected it or workers, got both"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        score(PROXIES, **arguments)


SCRIPT = """
import signal, warnings
from tests.scoring.tasks import hang
from zcfast.scoring.execution import SIGNALS, Processes
if __name__ == "__main__":
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    list(Processes(2).map(hang, [0, 1]))
"""


@pytest.fixture
def hanging(tmp_path, monkeypatch):
    """A process and its two workers, which are at work."""
    monkeypatch.chdir(tmp_path)
    with start(SCRIPT) as process:
        yield process, [int(process.stdout.readline()) for _ in range(2)]
        process.kill()


@linux
@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_all_in_two_seconds(hanging, number, stopped):
    process, workers = hanging
    if stopped:
        os.kill(workers[0], signal.SIGSTOP)
    _, err, seconds = end(process, number)
    assert err.endswith("\nKeyboardInterrupt\n")
    assert seconds < 2
    assert not any(map(is_running, workers))


@linux
def test_ctrl_c_at_a_terminal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("main.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process, terminal = pty.fork()
    if process == 0:
        os.execve(sys.executable, [sys.executable, "main.py"], environment)
    with os.fdopen(terminal, "r+b", buffering=0) as screen:
        text = b""
        while text.count(b"\n") < 2:
            text += screen.read(100)
        started = time.monotonic()
        screen.write(b"\x03")
        os.waitpid(process, 0)
        assert time.monotonic() - started < 2
    assert not any(is_running(int(line)) for line in text.split())


@linux
def test_workers_take_no_signal_of_the_group(hanging):
    _, workers = hanging
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(workers[0], number)
    time.sleep(0.3)  # one that takes a signal needs a moment to end
    assert is_running(workers[0])


@linux
@pytest.mark.parametrize("stopped", [False, True])
def test_workers_end_with_the_process_that_started_them(hanging, stopped):
    process, workers = hanging
    if stopped:
        os.kill(workers[0], signal.SIGSTOP)
    process.kill()
    process.wait()
    assert_gone(workers[stopped:], 5)
    os.kill(workers[0], signal.SIGCONT) if stopped else None
    assert_gone(workers, 5)


@linux
def test_a_worker_that_was_killed_ends_the_others(hanging):
    process, workers = hanging
    os.kill(workers[0], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert f"process {workers[0]} that scores was killed, perhaps for its memory; fewer workers take less" in err
    assert not is_running(workers[1])


@linux
def test_a_stopped_worker_is_said(hanging):
    process, workers = hanging
    os.kill(workers[0], signal.SIGSTOP)
    expected = f"that scores is stopped: kill -CONT {workers[0]} lets it go on, Ctrl-C ends the run"
    assert f"process {workers[0]} {expected}" in process.stderr.readline()


def test_the_workers_of_a_script_without_a_guard(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = SCRIPT.replace('if __name__ == "__main__":', "if True:")
    with start(script) as process:
        _, err = process.communicate(timeout=60)
    assert 'ended by itself with exit code 1; a script with workers needs if __name__ == "__main__"' in err
