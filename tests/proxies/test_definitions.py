import inspect
import json
import subprocess
import sys

import pytest

from tests.shared import environment
from zcfast.proxies.base import registered

CODE = """
import json, zcfast
space = zcfast.space("nasbench201")
made = zcfast.score_architectures(space, ["params", "l2_norm"], space.enumerate()[:1], None)
print(json.dumps(made.provenance.as_json()["columns"]))
"""


@pytest.mark.parametrize(("name", "proxy"), [*registered().items()])
def test_a_definition_is_the_first_line_of_the_documentation(name, proxy):
    if proxy.__module__.startswith("zcfast."):
        assert proxy.definition == inspect.getdoc(proxy).partition("\n")[0]


@pytest.mark.slow
def test_definitions_need_no_docstrings(tmp_path):
    options = {"capture_output": True, "check": True, "cwd": tmp_path, "env": environment()}
    made = [
        json.loads(subprocess.run([sys.executable, *flags, "-c", CODE], **options).stdout) for flags in ([], ["-OO"])
    ]
    assert made[0] == made[1]
    assert made[0]["l2_norm"]["definition"] == "Sum of ||W_l||_2."
