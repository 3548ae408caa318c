"""Writes `data/format_1.npz`, a saved model that later releases have to read, and what it says: run with python -m."""

import json
from pathlib import Path

from tests.persistence.files import DATA, content, model

FILE = Path(__file__).parent / "data" / "format_1.npz"


def main() -> None:
    FILE.write_bytes(content())
    table = model().tidy()
    told = {name: table[name].tolist() for name in ("estimate", "std_error")}
    told["log_density"] = model().predict(DATA[:4], kind="log_density").tolist()
    FILE.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
