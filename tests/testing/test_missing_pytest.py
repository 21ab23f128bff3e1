import subprocess
import sys


def test_without_pytest_the_error_says_what_to_do():
    program = "import sys; sys.modules['pytest'] = None; import zcfast.testing"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)
    assert "ImportError: zcfast.testing needs pytest, which is not installed: pip install pytest" in done.stderr
