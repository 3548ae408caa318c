"""Store: a study's records on disk. `design.json` says what they belong to, `replicates.jsonl` holds one a line.

Lines are only ever appended, so that an interrupt or a crash costs at most the line being written.
"""

import json
import os
from pathlib import Path

from mixstat.exceptions import DataError, OptionError
from mixstat.studies.design import Design
from mixstat.studies.replicate import Record

DESIGN, RECORDS = "design.json", "replicates.jsonl"


class Store:
    """Records in memory, and in `directory` where there is one."""

    def __init__(self, design: Design, directory: str | os.PathLike | None):
        self.records: dict[tuple[int, int], Record] = {}
        self.folder = None if directory is None else Path(directory)
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            _claim(self.folder, design)
            self._remember(_read(self.folder / RECORDS))

    def keep(self, records: list[Record]) -> None:
        """Remember records, and append them to the file in one write."""
        if self.folder is not None and records:
            lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)
            with open(self.folder / RECORDS, "a", encoding="utf-8", newline="\n") as file:
                file.write(lines)
        self._remember(records)

    def _remember(self, records: list[Record]) -> None:
        for record in records:
            self.records.setdefault((record["scenario"], record["replicate"]), record)


def _claim(folder: Path, design: Design) -> None:
    """Write the design, or refuse a folder that holds the results of another."""
    path = folder / DESIGN
    if path.exists():
        changed = design.differences(json.loads(path.read_text(encoding="utf-8")))
        if changed:
            raise OptionError(
                f"{folder} holds the results of another design: {', '.join(changed)} changed (only replicates= may "
                "grow); give a new directory=, or remove this one"
            )
        return
    if (folder / RECORDS).exists():
        raise DataError(f"{folder} holds {RECORDS} but no {DESIGN}, so its design is unknown; give a new directory=")
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(design.document(), indent=1) + "\n", encoding="utf-8")
    os.replace(draft, path)


def _read(path: Path) -> list[Record]:
    """All records; a last line that was cut off is removed from the file, its replicate will run again."""
    if not path.exists():
        return []
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        os.truncate(path, len(whole))
    records = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            records.append(json.loads(line))
        except ValueError:
            raise DataError(
                f"{path}, line {number} is no JSON; remove the line, and its replicate runs again"
            ) from None
    return records
