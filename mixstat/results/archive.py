"""Archive: plain data and arrays of numbers in one file, written whole or not at all, read without trusting it.

The file is a zip archive, and an npz to `numpy.load(path, allow_pickle=False)`. Its members:

    model.json    JSON object without NaN: {"format": "mixstat model", "version": 1, "made_with": {package: release},
                  and what `estimators/methods/stored.py` tells: arguments, formulas, levels, labels, verdict}
    NAME.npy      one array each, npy version 1.0, C order, dtype <f8, <i8, <i4 or |b1

Members are unencrypted, each with its checksum, deflated (or stored, where they are more than `MAX_INFLATED` in all, so
that no small file fills the memory). Nothing else may be there; nothing is unpickled, evaluated or unpacked to disk.
Numbers keep their bits, and the same model gives the same bytes. A change of meaning raises `VERSION`.
"""

import json
import os
import re
import secrets
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from math import isfinite, prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mixstat.exceptions import DataError

FORMAT, VERSION = "mixstat model", 1
MANIFEST = "model.json"
PACKAGES = ("mixstat", "numpy", "pandas", "formulaic")
MAX_BYTES = 2**31
"""Of the file."""
MAX_INFLATED = 2**26
"""Of all members, unless the file itself is longer."""
MAX_TEXT = 2**23
"""Of the JSON."""
MAX_MEMBERS = 1000
MAX_DEPTH = 64
_NAME = re.compile(r"[a-z][a-z0-9_]{0,60}\.npy")
_HEADER = re.compile(
    rb"\{'descr': '(<f8|<i8|<i4|\|b1)', 'fortran_order': False, 'shape': \(((?:\d{1,12},? ?)*)\), \} *\n"
)
_NPY = b"\x93NUMPY\x01\x00"
_DATE = (1980, 1, 1, 0, 0, 0)


class Archive(NamedTuple):
    """The caller's part of the JSON, and arrays by name."""

    manifest: dict[str, Any]
    arrays: dict[str, np.ndarray]


def pack(manifest: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """The file's bytes; DataError where they would be too large to be read again."""
    head = {"format": FORMAT, "version": VERSION, "made_with": _packages()}
    try:
        text = json.dumps({**head, **manifest}, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise DataError(f"the model holds NaN or an infinite number among its arguments or levels: {error}") from error
    members = {MANIFEST: text.encode()} | {f"{name}.npy": _npy(array) for name, array in arrays.items()}
    size = sum(map(len, members.values()))
    if len(text) > MAX_TEXT or size > MAX_BYTES // 2:
        raise DataError(f"the model is too large to be saved: over {MAX_TEXT} bytes of text or {MAX_BYTES // 2} in all")
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            how = zipfile.ZIP_DEFLATED if size <= MAX_INFLATED else zipfile.ZIP_STORED
            file.writestr(zipfile.ZipInfo(name, _DATE), content, how)
    return buffer.getvalue()


def unpack(content: bytes) -> Archive:
    """What `pack` was given; DataError, saying what is wrong, for anything that it has not written."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as file:
            infos = _checked_members(file, max(MAX_INFLATED, len(content)))
            manifest = _manifest(file.read(infos.pop(MANIFEST)))
            arrays = {name[:-4]: _array(name, file.read(info)) for name, info in infos.items()}
    except DataError:
        raise
    except zipfile.BadZipFile as error:
        raise DataError(f"no archive, or one that is damaged or cut off ({error}); save the model again") from error
    except (zlib.error, EOFError, OSError, ValueError, OverflowError, RuntimeError, MemoryError) as error:
        raise DataError(f"a damaged archive ({type(error).__name__}: {error}); save the model again") from error
    return Archive(manifest, arrays)


def write(path: str | os.PathLike, content: bytes) -> None:
    """Replace the file at once: a reader, or a crash, meets the old file or the new one, never a part."""
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: str | os.PathLike) -> bytes:
    """The file's bytes, at most `MAX_BYTES`."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > MAX_BYTES:
            raise DataError(f"the file is longer than {MAX_BYTES} bytes, which no saved model is")
        return file.read()


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _npy(array: np.ndarray) -> bytes:
    buffer = BytesIO()
    kind = {"f": "<f8", "b": "|b1", "i": "<i4" if array.dtype.itemsize == 4 else "<i8"}[array.dtype.kind]
    np.lib.format.write_array(buffer, np.ascontiguousarray(array, dtype=kind), (1, 0), allow_pickle=False)
    return buffer.getvalue()


def _checked_members(file: zipfile.ZipFile, most: int) -> dict[str, zipfile.ZipInfo]:
    """Members by name, judged by the directory alone; `most` bounds what they may unpack to."""
    infos = {info.filename: info for info in file.infolist()}
    if MANIFEST not in infos:
        raise DataError(f"the archive holds no {MANIFEST!r}: it is no model saved by mixstat, or was altered")
    if len(infos) < len(file.infolist()) or len(infos) > MAX_MEMBERS:
        raise DataError(f"the archive holds a name twice, or more than {MAX_MEMBERS} members")
    for name, info in infos.items():
        if name != MANIFEST and not _NAME.fullmatch(name):
            raise DataError(f"the archive holds {name[:80]!r}, which no saved model has")
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"member {name!r} is encrypted or packed in a way that saved models are not")
    if infos[MANIFEST].file_size > MAX_TEXT or sum(info.file_size for info in infos.values()) > most:
        raise DataError(f"the archive would unpack to more than {MAX_TEXT} bytes of text or {most} in all")
    return infos


def _array(name: str, content: bytes) -> np.ndarray:
    """The array of an npy member, by a parser that knows our own headers only."""
    start = len(_NPY) + 2
    end = start + int.from_bytes(content[len(_NPY) : start], "little")
    match = _HEADER.fullmatch(content[start:end])
    if not content.startswith(_NPY) or not match:
        raise DataError(f"member {name!r} is no array of float64, int64, int32 or bool as mixstat writes them")
    dtype = np.dtype(match.group(1).decode())
    shape = tuple(int(size) for size in re.findall(rb"\d+", match.group(2)))
    if prod(shape) * dtype.itemsize != len(content) - end:
        raise DataError(f"member {name!r} declares shape {shape}, but holds {len(content) - end} bytes")
    return np.frombuffer(content, dtype, offset=end).reshape(shape).astype(dtype.newbyteorder("="))


def _manifest(content: bytes) -> dict[str, Any]:
    """The JSON object without its head, which is checked first."""
    try:
        found = json.loads(
            content.decode("utf-8"), parse_float=_finite, parse_constant=_finite, object_pairs_hook=_unique
        )
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError(f"{MANIFEST} is not valid JSON in UTF-8: {error}") from error
    if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
        raise DataError(f"{MANIFEST} does not say that it is a model saved by mixstat")
    _check_version(found.pop("version", None), found.pop("made_with", None))
    _check_depth(found)
    return found


def _check_version(number: Any, made_with: Any) -> None:
    if type(number) is not int or number < 1:
        raise DataError(f"the format's version is a whole number from 1, got {number!r}")
    if number > VERSION:
        maker = made_with.get("mixstat") if isinstance(made_with, dict) else None
        release = f" by mixstat {maker[:40]}" if isinstance(maker, str) else ""
        raise DataError(
            f"the model was saved{release} in format {number}, newer than format {VERSION} which this mixstat reads; "
            "upgrade mixstat"
        )
    if not isinstance(made_with, dict) or not all(isinstance(value, str) for value in made_with.values()):
        raise DataError("'made_with' has to give versions of packages as texts")


def _finite(number: str) -> float:
    value = float(number)
    if not isfinite(value):
        raise DataError(f"{MANIFEST} holds {number[:40]}, where only finite numbers may stand")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise DataError(f"{MANIFEST} gives the key {twice[:80]!r} twice")
    return found


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise DataError(f"{MANIFEST} is nested deeper than {MAX_DEPTH} levels")
