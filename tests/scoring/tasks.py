"""What workers run in tests of executors; it imports nothing large."""

import os
import time


class Local(Exception):  # noqa: N818 - no error of the package
    """Does not pickle."""

    def __init__(self):
        super().__init__("does not pickle")
        self.hold = lambda: None


def square(number):
    if number == 13:
        raise LookupError("unlucky")
    if number == 14:
        raise Local
    return number * number


def sleep(seconds):
    time.sleep(seconds)
    return os.getpid()


def leave(how):
    """End the worker with an exit code, or with a signal if it is below 0; 0 waits."""
    if how < 0:
        os.kill(os.getpid(), -how)
    elif how:
        os._exit(how)
    time.sleep(600)


def hang(number):
    print(os.getpid(), flush=True)
    time.sleep(600)


def nap(number):
    time.sleep(0.02)
    return number / 3
