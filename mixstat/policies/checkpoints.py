"""Checkpoints: a training's arrays as .npy members and its description as JSON, in one zip file without pickles.

    checkpoint.json   {"format", "version", "description": what is trained and how, "progress": how far it is}
    NAME.npy          one array each; NAME is its path in the state, e.g. learner.policy.trunk.0.weight

Written whole or not at all. A file is read into a state that the caller has built already: names, shapes and types must
be those of its arrays, so that nothing in the file decides what is allocated.
"""

import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from mixstat.exceptions import DataError, OptionError
from mixstat.results import archive

FORMAT, VERSION = "mixstat policy checkpoint", 1
MANIFEST = "checkpoint.json"
MAX_TEXT = 2**24
HEADER = 256
"""Bytes that a member may have beyond those of its array."""


class Checkpoint(NamedTuple):
    """A state, and how far it is: {"iterations": ..., "history": {...}}."""

    state: Any
    progress: dict[str, Any]


def save(path: str | os.PathLike, state: Any, description: Mapping[str, Any], progress: Mapping[str, Any]) -> None:
    """Replace the file at once by this state (a pytree of arrays)."""
    manifest = {"format": FORMAT, "version": VERSION, "description": dict(description), "progress": dict(progress)}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr(MANIFEST, json.dumps(manifest, allow_nan=False))
        for name, leaf in named(state).items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asarray(leaf), allow_pickle=False)
            file.writestr(f"{name}.npy", content.getvalue())
    archive.write(path, buffer.getvalue())


def load(path: str | os.PathLike, template: Any, description: Mapping[str, Any]) -> Checkpoint:
    """The state in the file, shaped as `template`; OptionError where the file is of another training, DataError where
    it is damaged."""
    try:
        with zipfile.ZipFile(path) as file:
            manifest = _manifest(file)
            _same(path, manifest["description"], description)
            leaves = [_array(file, name, leaf) for name, leaf in named(template).items()]
    except (zipfile.BadZipFile, KeyError, EOFError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} is no checkpoint, or is damaged ({error}); remove it to begin anew") from error
    return Checkpoint(jax.tree.unflatten(jax.tree.structure(template), leaves), manifest["progress"])


def named(state: Any) -> dict[str, Any]:
    """The leaves of a pytree by their paths."""
    return {_name(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]}


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".") or "value"


def exists(path: str | os.PathLike | None) -> bool:
    """Whether there is a file to go on from."""
    return path is not None and Path(path).exists()


def _manifest(file: zipfile.ZipFile) -> dict[str, Any]:
    if file.getinfo(MANIFEST).file_size > MAX_TEXT:
        raise DataError(f"{MANIFEST} is longer than {MAX_TEXT} bytes")
    found = json.loads(file.read(MANIFEST).decode("utf-8"))
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise DataError("the file does not say that it is a checkpoint of a policy")
    if found.get("version") != VERSION:
        raise DataError(f"the checkpoint has format {found.get('version')!r}, this mixstat reads {VERSION}")
    if not isinstance(found.get("description"), dict) or not isinstance(found.get("progress"), dict):
        raise DataError("the checkpoint lacks its description or its progress")
    return found


def _same(path: str | os.PathLike, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    found, wanted = _flat(found), _flat(wanted)
    changed = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    if changed:
        words = "; ".join(f"{name} was {_short(found.get(name))}, is {_short(wanted.get(name))}" for name in changed)
        raise OptionError(f"{path} holds another training ({words}); give another checkpoint=, or remove the file")


def _flat(told: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested names joined by dots."""
    found: dict[str, Any] = {}
    for name, value in told.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _array(file: zipfile.ZipFile, name: str, like: Any) -> np.ndarray:
    """The member, if it is what `like` is."""
    try:
        info = file.getinfo(f"{name}.npy")
    except KeyError:
        raise DataError(f"the checkpoint holds no {name!r}, which this training has") from None
    like = np.asarray(like)
    if info.file_size > like.nbytes + HEADER:
        raise DataError(f"{name!r} holds {info.file_size} bytes where an array of shape {like.shape} was expected")
    try:
        array = np.lib.format.read_array(io.BytesIO(file.read(info)), allow_pickle=False)
    except ValueError as error:
        raise DataError(f"{name!r} of the checkpoint cannot be read ({error})") from error
    if array.shape != like.shape or array.dtype != like.dtype:
        raise DataError(
            f"{name!r} of the checkpoint is {array.dtype}{list(array.shape)}, expected {like.dtype}{list(like.shape)}"
        )
    return array
