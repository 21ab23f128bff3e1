"""The JSON file of a run: whole after every row, so that a run that is cut off keeps what it had."""

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]
CUT_OFF = {"ok": False, "error": "begun, and cut off before its end"}


class Report:
    """`content["machine"]`, and in `content["parts"]` the rows of each part, which other runs into the file leave."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reload()

    def reload(self) -> None:
        """Take what another process has written."""
        there = self.path.exists()
        self.content: dict[str, Any] = json.loads(self.path.read_text()) if there else {"machine": {}, "parts": {}}

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".tmp")
        unfinished.write_text(json.dumps(self.content, indent=1) + "\n")
        unfinished.replace(self.path)

    def begin(self, part: str) -> None:
        self.content["parts"][part] = {"rows": []}
        self.save()

    def end(self, part: str, seconds: float) -> None:
        self.content["parts"][part]["seconds"] = round(seconds, 1)
        self.save()

    def rows(self, part: str) -> list[Row]:
        rows: list[Row] = self.content["parts"][part]["rows"]
        return rows

    def put(self, part: str, place: int, row: Row) -> None:
        self.rows(part)[place:] = [row]
        self.save()

    def wrong(self, parts: list[str]) -> list[str]:
        """The rows of these parts that are not right."""
        return [f"{part}: {row['name']}" for part in parts for row in self.rows(part) if not row["ok"]]
