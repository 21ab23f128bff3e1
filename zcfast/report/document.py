"""One HTML file that opens without a network: templates, style and programs of assets/, and data as JSON."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any

MISSING = "the report needs {}, which is not installed: pip install 'zcfast[report]'"


def rendered(template: str, programs: tuple[str, ...], data: Any, **values: Any) -> str:
    """A page of a template, whose programs read the data; values are escaped unless the template says "safe".

    Raises:
        ImportError: vl-convert-python or Jinja2 is missing; the message names the extra.
    """
    try:
        from jinja2 import Environment, FunctionLoader
    except ImportError as error:
        raise ImportError(MISSING.format("Jinja2")) from error
    scripts = {"library": _plot_library(), "program": "".join(map(_asset, programs))}
    environment = Environment(loader=FunctionLoader(_asset), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page: str = environment.get_template(template).render(
        data=_json_for_script(data),
        style=_asset("page.css"),
        scripts=scripts,
        hashes=" ".join(map(_hash, scripts.values())),
        **values,
    )
    return page


def _json_for_script(data: Any) -> str:
    """JSON that no text in it can end the <script> around it."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(script: str) -> str:
    """The source of a script as the page's policy names it, so that no other script can run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return (resources.files("zcfast.report") / "assets" / name).read_text(encoding="utf-8")


@cache
def _plot_library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    try:
        import vl_convert
    except ImportError as error:
        raise ImportError(MISSING.format("vl-convert-python")) from error
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle
