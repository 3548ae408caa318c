"""Files to tamper with: the members of a saved model, changed and packed again."""

import json
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np

import mixstat as ms
from tests.estimators.data import frame, mixture, regression

DATA = frame()


@cache
def model() -> Any:
    """A model with levels, knots, units, a noise class and a tie."""
    expert = regression("y ~ bs(x, df=4) + g", shared="g", family="gaussian")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mixture(expert, gate="~ 1", unit="u", extra=[ms.Noise()], n_init=1).fit(DATA)


@cache
def content(kind: str = "mixture") -> bytes:
    """The bytes of a saved model."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        chosen = model() if kind == "mixture" else regression("g ~ x", family="categorical").fit(DATA)
        chosen.save(path)
        return path.read_bytes()


def members(kind: str = "mixture") -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(content(kind))) as file:
        return {name: file.read(name) for name in file.namelist()}


def pack(parts: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as file:
        for name, part in parts.items():
            file.writestr(name, part)
    return buffer.getvalue()


def npy(values: Any) -> bytes:
    buffer = BytesIO()
    np.save(buffer, values, allow_pickle=True)
    return buffer.getvalue()


def with_member(name: str, part: bytes) -> bytes:
    return pack({**members(), name: part})


def with_json(change: Callable[[dict], Any], kind: str = "mixture") -> bytes:
    """The file after `change` of its JSON object, in place (or the object that `change` returns)."""
    parts = members(kind)
    plain = json.loads(parts["model.json"])
    changed = change(plain)
    parts["model.json"] = json.dumps(plain if changed is None else changed).encode()
    return pack(parts)


def with_array(name: str, change: Callable[[np.ndarray], Any], kind: str = "mixture") -> bytes:
    """The file after `change` of one array."""
    parts = members(kind)
    values = np.load(BytesIO(parts[f"{name}.npy"]))
    parts[f"{name}.npy"] = npy(change(values))
    return pack(parts)


def put(path: str, value: Any) -> Callable[[dict], None]:
    """A change of the JSON: `value` at a path of keys and positions, "schema/seen/x/1"."""

    def change(plain: dict) -> None:
        *inner, last = [int(key) if key.isdigit() else key for key in path.split("/")]
        place: Any = plain
        for key in inner:
            place = place[key]
        place[last] = value

    return change


def drop(path: str) -> Callable[[dict], None]:
    """A change of the JSON: the key at a path removed."""

    def change(plain: dict) -> None:
        *inner, last = path.split("/")
        place: Any = plain
        for key in inner:
            place = place[int(key) if key.isdigit() else key]
        del place[last]

    return change


def restored(made: bytes) -> Any:
    """`mixstat.load` of these bytes."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        path.write_bytes(made)
        return ms.load(path)
