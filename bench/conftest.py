from tests.conftest import one_thread  # noqa: F401  pytest finds it here
