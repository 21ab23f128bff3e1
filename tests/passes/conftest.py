"""One thread for every test."""

from tests.proxies.conftest import _one_thread  # noqa: F401
