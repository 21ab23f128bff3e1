"""Calls from several threads wait for each other, and none waits for ever."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from zcfast.passes import turn
from zcfast.scoring import score

BATCH = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).double(), torch.arange(6) % 3


def linear():
    return nn.Linear(5, 3).double()


def hooked(hook):
    net = linear()
    net.register_forward_hook(lambda *_: hook() and None)
    return net


def test_threads_wait_for_each_other():
    torch.manual_seed(0)
    shared = nn.Linear(8, 3).double()
    nets = [nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.2), nn.BatchNorm1d(8), shared).double() for _ in range(3)]
    nets.append(nets[0])
    torch.manual_seed(1)  # of the dropout
    state = torch.get_rng_state()
    expected = [{k: s.value for k, s in score(net, BATCH, ("snip", "grasp", "synflow")).items()} for net in nets]
    states = [{k: v.clone() for k, v in net.state_dict().items()} for net in nets]
    found = [[] for _ in nets]

    def work(place):
        for _ in range(5):
            found[place].append({k: s.value for k, s in score(nets[place], BATCH, [*expected[0]]).items()})

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(nets))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert torch.equal(torch.get_rng_state(), state)
    for place, net in enumerate(nets):
        assert found[place] == [expected[place]] * 5
        assert all(torch.equal(v, states[place][k]) for k, v in net.state_dict().items())


def test_a_call_from_inside_of_another_is_refused():
    inner, net = linear(), linear()
    for held in (inner, net):
        handle = net.register_forward_hook(lambda *_, held=held: score(held, BATCH, ["snip"]) and None)
        result = score(net, BATCH, ["snip"])["snip"]
        handle.remove()
        assert result.status == "failed"
        assert "expected a call from outside of other calls" in result.reason
    assert score(net, BATCH, ["snip"])["snip"].status == "ok"


def by_join(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def by_looking(work):
    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        time.sleep(0.05)


def by_future(work):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


@pytest.mark.parametrize("wait", [by_join, by_looking, by_future])
@pytest.mark.parametrize("same", [False, True])
def test_a_net_that_waits_for_a_thread_that_scores(monkeypatch, wait, same):
    monkeypatch.setattr(turn, "_RESTS", 3)
    raised, inner = [], linear()

    def work():
        try:
            score(net if same else inner, BATCH, ["snip"])
        except RuntimeError as error:
            raised.append(str(error))

    net = hooked(lambda: wait(work))
    expected = score(linear(), BATCH, ["l2_norm"])
    assert expected["l2_norm"].status == "ok"
    assert score(net, BATCH, ["snip"])["snip"].status == "ok"
    assert raised
    assert all("expected a call from outside of other calls" in each for each in raised)
    assert score(inner, BATCH, ["snip"])["snip"].status == "ok"


def test_a_net_that_waits_for_a_lock_of_a_thread_that_scores(monkeypatch):
    monkeypatch.setattr(turn, "_RESTS", 3)
    lock, locked, running = threading.Lock(), threading.Event(), threading.Event()
    raised = []

    def work():
        with lock:
            locked.set()
            running.wait(20)
            with pytest.raises(RuntimeError, match="another has rested") as caught:
                score(linear(), BATCH, ["snip"])
            raised.append(caught)

    def hook():
        running.set()
        with lock:
            pass

    thread = threading.Thread(target=work)
    thread.start()
    locked.wait(20)
    assert score(hooked(hook), BATCH, ["snip"])["snip"].status == "ok"
    thread.join()
    assert raised


def test_a_call_waits_for_as_long_as_another_computes(monkeypatch):
    monkeypatch.setattr(turn, "_RESTS", 2)
    monkeypatch.setattr(turn, "_LOOK", 0.2)
    entered = threading.Event()

    def hook():
        entered.set()
        end = time.thread_time() + 1.0
        while time.thread_time() < end:
            pass

    slow = threading.Thread(target=score, args=(hooked(hook), BATCH, ["snip"]))
    slow.start()
    entered.wait(20)
    assert score(linear(), BATCH, ["snip"])["snip"].status == "ok"
    slow.join()


def test_a_forked_process_scores():
    entered, done = threading.Event(), threading.Event()
    net = linear()

    def hook():
        entered.set()
        done.wait(20)

    thread = threading.Thread(target=score, args=(hooked(hook), BATCH, ["snip"]))
    thread.start()
    entered.wait(20)
    child = os.fork()
    if child == 0:
        os._exit(0 if score(net, BATCH, ["l2_norm"])["l2_norm"].status == "ok" else 1)
    done.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
