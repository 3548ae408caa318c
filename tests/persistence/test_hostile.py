"""Damaged and hostile files: each is refused by one clear DataError; nothing runs, nothing grows."""

import json
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

import mixstat as ms
from mixstat.results import archive
from tests.persistence import files
from tests.persistence.files import content, drop, members, npy, pack, put, with_array, with_json, with_member

HEADER = b"{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }"


class Payload:
    """Pickled, it makes a folder when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


def refused(tmp_path, made, match):
    path = tmp_path / "model.npz"
    path.write_bytes(made)
    with pytest.raises(ms.DataError, match=match) as caught:
        ms.load(path)
    assert str(caught.value).startswith(f"{str(path)!r} cannot be loaded: ")
    assert len(str(caught.value)) < 1000 + len(str(path))
    assert [file.name for file in tmp_path.iterdir()] == ["model.npz"]


def raw_npy(shape: bytes, values: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = HEADER % shape + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + values


def patched(find: bytes, offset: int, value: bytes) -> bytes:
    """The file with bytes changed after every record that starts with `find`."""
    made, at = bytearray(content()), content().find(find)
    while at >= 0:
        made[at + offset : at + offset + len(value)] = value
        at = content().find(find, at + 1)
    return bytes(made)


def twice() -> bytes:
    text = members()["model.json"]
    return b'{"iterations":1,' + text[1:]


def bomb(name: str, size: int) -> bytes:
    return with_member(name, bytes(size))


CONTAINERS = {
    "empty": (lambda: b"", "damaged or cut off"),
    "text": (lambda: b"y ~ x", "damaged or cut off"),
    "pickle": (lambda: pickle.dumps(Payload()), "damaged or cut off"),
    "cut in half": (lambda: content()[: len(content()) // 2], "damaged or cut off"),
    "last byte gone": (lambda: content()[:-1], "damaged or cut off"),
    "first bytes gone": (lambda: content()[200:], "damaged"),
    "another package": (lambda: pack({"a.npy": npy(np.ones(3))}), "holds no 'model.json'"),
    "another format": (lambda: with_json(put("format", "skops")), "does not say that it is a model"),
    "no json": (lambda: pack({k: v for k, v in members().items() if k != "model.json"}), "holds no 'model.json'"),
    "missing member": (lambda: pack({k: v for k, v in members().items() if k != "scale.npy"}), "'scale' is missing"),
    "extra member": (lambda: with_member("notes.txt", b"hello"), "holds 'notes.txt'"),
    "extra array": (lambda: with_member("notes.npy", npy(np.ones(2))), "unknown array 'notes'"),
    "path upwards": (lambda: with_member("../evil.npy", npy(np.ones(2))), "holds '../evil.npy'"),
    "absolute path": (lambda: with_member("/tmp/evil.npy", npy(np.ones(2))), "holds '/tmp/evil.npy'"),
    "folder": (lambda: with_member("inner/", b""), "holds 'inner/'"),
    "many members": (lambda: pack(members() | {f"a{i}.npy": b"" for i in range(2000)}), "more than 1000"),
    "encrypted": (lambda: patched(b"PK\x01\x02", 8, b"\x01\x00"), "encrypted"),
    "lzma": (lambda: pack(members(), zipfile.ZIP_LZMA), "packed in a way"),
    "checksum": (lambda: patched(b"PK\x01\x02", 16, b"\x00\x00\x00\x00"), "damaged or cut off"),
    "pickled array": (lambda: with_member("scale.npy", npy(np.array([Payload()]))), "no array of float64"),
    "bare pickle": (lambda: with_member("scale.npy", pickle.dumps(Payload())), "no array of float64"),
    "object dtype": (lambda: with_array("scale", lambda a: a.astype(object)), "no array of float64"),
    "float32": (lambda: with_array("scale", lambda a: a.astype(np.float32)), "no array of float64"),
    "complex": (lambda: with_array("scale", lambda a: a + 0j), "no array of float64"),
    "texts": (lambda: with_array("scale", lambda a: a.astype(str)), "no array of float64"),
    "records": (lambda: with_array("scale", lambda a: np.zeros(3, "f8,f8")), "no array of float64"),
    "other byte order": (lambda: with_array("scale", lambda a: a.astype(">f8")), "no array of float64"),
    "fortran order": (lambda: with_array("jacobian", np.asfortranarray), "no array of float64"),
    "integers": (lambda: with_array("scale", lambda a: a.astype(np.int64)), "'scale' is int64"),
    "other shape": (lambda: with_array("information", np.ravel), "'information' is float64 of shape"),
    "one too many": (lambda: with_array("coefficients", lambda a: np.append(a, 0.0)), "'coefficients' is float64"),
    "scalar": (lambda: with_array("weight", lambda a: a[0]), "'weight' is float64"),
    "empty array": (lambda: with_array("weight", lambda a: a[:0]), "'weight' holds"),
    "no header": (lambda: with_member("scale.npy", b""), "no array of float64"),
    "header too long": (lambda: with_member("scale.npy", b"\x93NUMPY\x01\x00\xff\xff"), "no array of float64"),
    "npy version 2": (lambda: with_member("scale.npy", raw_npy(b"3,", b"", b"\x02\x00")), "no array of float64"),
    "huge array": (lambda: with_member("scale.npy", raw_npy(b"999999999999,")), "declares shape"),
    "huge product": (lambda: with_member("scale.npy", raw_npy(b"999999999999, 999999999999")), "declares shape"),
    "negative size": (lambda: with_member("scale.npy", raw_npy(b"-3,")), "no array of float64"),
    "code in a header": (lambda: with_member("scale.npy", raw_npy(b"__import__('os').mkdir('executed'),")), "no array"),
    "short array": (lambda: with_member("scale.npy", raw_npy(b"3,", bytes(23))), "but holds 23 bytes"),
    "long array": (lambda: with_member("scale.npy", raw_npy(b"3,", bytes(25))), "but holds 25 bytes"),
    "not utf-8": (lambda: with_member("model.json", b'{"format": "\xff"}'), "not valid JSON"),
    "utf-16": (lambda: with_member("model.json", members()["model.json"].decode().encode("utf-16")), "not valid JSON"),
    "no json at all": (lambda: with_member("model.json", b"y ~ x"), "not valid JSON"),
    "json cut off": (lambda: with_member("model.json", members()["model.json"][:-1]), "not valid JSON"),
    "json list": (lambda: with_json(lambda plain: [plain]), "does not say that it is a model"),
    "json null": (lambda: with_member("model.json", b"null"), "does not say that it is a model"),
    "deep lists": (lambda: with_member("model.json", b"[" * 10**6), "not valid JSON"),
    "deep objects": (lambda: with_member("model.json", b'{"a":' * 10**6), "not valid JSON"),
    "nested": (lambda: with_json(put("dropped", json.loads("[" * 80 + "]" * 80))), "nested deeper"),
    "duplicate key": (lambda: with_member("model.json", twice()), "the key 'iterations' twice"),
    "nan in json": (lambda: with_json(put("iterations", float("nan"))), "holds NaN"),
    "infinity in json": (lambda: with_json(put("iterations", float("inf"))), "holds Infinity"),
    "overflow in json": (lambda: pack({**members(), "model.json": b'{"iterations": 1e999}'}), "holds 1e999"),
    "long integer": (lambda: with_member("model.json", b'{"a": ' + b"9" * 10**5 + b"}"), "not valid JSON"),
    "newer": (lambda: with_json(put("version", 2)), "newer than format 1 .* upgrade mixstat"),
    "version 0": (lambda: with_json(put("version", 0)), "version is a whole number"),
    "version as text": (lambda: with_json(put("version", "1")), "version is a whole number"),
    "version as boolean": (lambda: with_json(put("version", True)), "version is a whole number"),
    "no version": (lambda: with_json(drop("version")), "version is a whole number"),
    "bomb": (lambda: bomb("scale.npy", archive.MAX_INFLATED + 1), "would unpack to more"),
    "bomb of text": (lambda: bomb("model.json", archive.MAX_TEXT + 1), "would unpack to more"),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers(name, tmp_path, monkeypatch):
    made, match = CONTAINERS[name]
    monkeypatch.chdir(tmp_path)
    refused(tmp_path, made(), match)


ARGUMENTS = "estimator/fields/expert/fields"
EVIL = "__import__('os').mkdir('executed')"
JSONS = {
    "unknown key": (put("more", 1), "unknown key 'more'"),
    "missing key": (drop("verdict"), "'verdict' is missing"),
    "missing inner key": (drop("verdict/status"), "'status' is missing"),
    "unknown inner key": (put("rows/more", 1), "unknown key 'more'"),
    "text for a number": (put("iterations", "3"), "'iterations' is of type str"),
    "boolean for a number": (put("iterations", True), "'iterations' is of type bool"),
    "number for a boolean": (put("interrupted", 0), "'interrupted' is of type int"),
    "negative size": (put("rows/dropped", -1), "'dropped' is -1"),
    "other size": (put("rows/given", 10**15), "are not the 120 that have a weight"),
    "unknown estimator": (put("estimator/estimator", "Pipeline"), "'Pipeline' is not known"),
    "no estimator": (put("estimator", {"extra": "noise", "fields": {}}), "holds a Noise"),
    "joint alone": (put("estimator", {"estimator": "Joint", "fields": {"outcomes": []}}), "non-empty list"),
    "unknown argument": (put("estimator/fields/n_jobs", 2), "no argument 'n_jobs'"),
    "unknown way": (put("estimator", {"pickle": "gASVIAAAA"}), "in no known way"),
    "unknown family": (put(f"{ARGUMENTS}/family", "cauchy"), "'cauchy'"),
    "family by path": (put(f"{ARGUMENTS}/family", {"family": "os.system", "fields": {}}), "'os.system' is not known"),
    "argument of a family": (
        put(f"{ARGUMENTS}/family", {"family": "gaussian", "fields": {"scale": 2}}),
        "no argument 'scale'",
    ),
    "value of a family": (
        put(f"{ARGUMENTS}/family", {"family": "diagonal_gaussian", "fields": {"covariance": "some"}}),
        "covariance must be",
    ),
    "unhashable family": (
        put(f"{ARGUMENTS}/family", {"family": "categorical", "fields": {"levels": [1, 2]}}),
        "unhashable",
    ),
    "unknown extra": (put("estimator/fields/extra/0/extra", "nobody"), "'nobody' is not known"),
    "refused extra": (
        put("estimator/fields/extra/0", {"extra": "point_mass", "fields": {"value": "0"}}),
        "finite number",
    ),
    "refused option": (put("estimator/fields/algorithm", "gradient"), "algorithm must be one of"),
    "refused number": (put("estimator/fields/tol", -1.0), "tol must be a finite number"),
    "refused count": (put("estimator/fields/n_init", 0), "n_init must be"),
    "refused seed": (put("estimator/fields/random_state", -5), "random_state must be"),
    "refused unit": (put("estimator/fields/unit", 3), "unit must be the name"),
    "refused cluster": (put("estimator/fields/cluster", [1]), "cluster must be the name"),
    "refused shared": (put(f"{ARGUMENTS}/shared", [1]), "shared must be names"),
    "refused fixed": (put(f"{ARGUMENTS}/fixed", {"dict": [["x", "1"]]}), "fixed"),
    "parameter formula": (put(f"{ARGUMENTS}/rho", "~ x"), "no parameter of that name"),
    "other parameter formula": (put(f"{ARGUMENTS}/sigma", "~ x"), "are not those of the arguments"),
    "other option": (put(f"{ARGUMENTS}/shared", "sigma"), "labels of the coefficients"),
    "fixed coefficient": (put(f"{ARGUMENTS}/fixed", {"dict": [["Intercept", 1.0]]}), "'standardised' is float64"),
    "more experts": (put("estimator/fields/n_experts", 3), "'class_weight' is float64"),
    "a great many experts": (put("estimator/fields/n_experts", 10**12), "'class_weight' is float64"),
    "other gate": (put("estimator/fields/gate", "equal"), "are not those of the arguments"),
    "array mode": (put("array_mode", {"formula": "y ~ x", "columns": 1, "names": None}), "not fitted to arrays"),
    "formula not of the schema": (put(f"{ARGUMENTS}/formula", "y ~ x"), "are not those of the arguments"),
    "formula of another type": (put(f"{ARGUMENTS}/formula", 3), "formula"),
    "code in a formula": (put(f"{ARGUMENTS}/formula", f"y ~ {EVIL}"), "cannot be loaded"),
    "function not allowed": (put("schema/formulas/0.0", "y ~ eval(x)"), "no function 'eval'"),
    "attribute": (put("schema/formulas/0.0", "y ~ I(x + z.__class__)"), "attributes are not allowed"),
    "other function": (put("schema/formulas/0.0", "y ~ compile(x)"), "no function 'compile'"),
    "term with code": (put("schema/rights/0.0/terms/1", [[f"I({EVIL})", True]]), "expression"),
    "term not of the formula": (put("schema/rights/0.0/terms/1", [["log(x)", True]]), "are not those of its formula"),
    "offset with code": (put("schema/rights/0.0/offsets", [["(lambda: x)()", True]]), "expression"),
    "unknown key of the schema": (put("schema/more", 1), "not a stored schema"),
    "schema of another version": (put("schema/version", 2), "not a stored schema"),
    "level twice": (put("schema/seen/g/1", ["a", "b", "b"]), "a level stands twice"),
    "level of a wrong type": (put("schema/seen/g/1", ["a", "b", None]), "levels are texts"),
    "level as a list": (put("schema/seen/g/1", ["a", "b", ["c"]]), "levels are texts"),
    "levels as a text": (put("schema/seen/g/1", "abc"), "the kind of a column"),
    "levels of numbers": (put("schema/seen/x/1", ["a"]), "column of numbers has levels"),
    "unknown kind": (put("schema/seen/x/0", "date"), "the kind of a column"),
    "column not seen": (drop("schema/seen/x"), "columns seen are not those"),
    "column too many": (put("schema/seen/q", ["number", [], False]), "columns seen are not those"),
    "no knots": (put("schema/transforms", {"pairs": []}), "states of the transforms"),
    "empty knots": (put("schema/transforms/pairs/0/1", {"pairs": []}), "has no state"),
    "state of another call": (put("schema/transforms/pairs/0/0", "bs(x, df=5)"), "states of the transforms"),
    "objects as a state": (
        put("schema/transforms/pairs/0/1", {"array": ["x"], "dtype": "|O", "shape": [1]}),
        "array of numbers",
    ),
    "huge state": (
        put("schema/transforms/pairs/0/1", {"array": [1], "dtype": "<f8", "shape": [10**15]}),
        "schema is damaged",
    ),
    "encoder of nothing": (put("schema/encoders/pairs/0/0", "h"), "encoders are not of its terms"),
    "encoder of another kind": (put("schema/encoders/pairs/0/1/0", "constant"), "an encoder of kind"),
    "encoder with a level twice": (put("schema/encoders/pairs/0/1/1", ["a", "a"]), "a level stands twice"),
    "column twice": (put("schema/columns/0.0/0/1", "Intercept"), "the columns of '0.0'"),
    "column of no term": (put("schema/columns/0.0/1/1", "h"), "the columns of '0.0'"),
    "column without owner": (put("schema/columns/0.0/1", ["1"]), "the columns of '0.0'"),
    "levels of the response": (put("levels/0.0", ["a", "b"]), "does not have the levels"),
    "levels of no response": (put("levels/1.0", []), "levels are not those of the responses"),
    "label": (put("labels/0/2", "other"), "labels of the coefficients"),
    "label too few": (lambda plain: plain["labels"].pop() and None, "'coefficients' is float64"),
    "labels many": (put("labels", []), "'coefficients' is float64"),
    "dropped column": (put("dropped", ["0.0:h"]), "'dropped' names columns"),
    "dropped twice": (put("dropped", ["0.0:g[T.b]"] * 2), "'dropped' names columns"),
    "dropped column that is there": (put("dropped", ["0.0:g[T.b]"]), "expected"),
    "start": (put("starts/0/2", -1), "'starts' holds rows"),
    "start of another form": (put("starts/0", [1]), "'starts' holds rows"),
    "start too many": (lambda plain: plain["starts"].append(plain["starts"][0]), "'starts' is float64"),
    "expert names": (put("expert_names", ["one"]), "'expert_names'"),
    "made with": (put("made_with", [1]), "'made_with'"),
}


@pytest.mark.parametrize("name", JSONS)
def test_texts(name, tmp_path, monkeypatch):
    change, match = JSONS[name]
    monkeypatch.chdir(tmp_path)
    refused(tmp_path, with_json(change), match)


LEVELS = {
    "other levels": (put("levels/0.0", ["a", "b", "d"]), "not those of its column"),
    "one level": (put("levels/0.0", ["a"]), "two or more levels"),
    "level twice": (put("levels/0.0", ["a", "b", "b"]), "not those of its column"),
    "nested level": (put("levels/0.0", ["a", "b", ["c"]]), "not those of its column"),
    "no levels": (put("levels/0.0", []), "two or more levels"),
}


@pytest.mark.parametrize("name", LEVELS)
def test_levels_of_a_response(name, tmp_path):
    change, match = LEVELS[name]
    refused(tmp_path, with_json(change, "categorical"), match)


def replaced(index, value):
    def change(values):
        values = values.copy()
        values.flat[index] = value
        return values

    return change


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("coefficients", replaced(0, np.nan), "'coefficients' is not finite"),
        ("standardised", replaced(1, np.inf), "'standardised' is not finite"),
        ("estimates", replaced(1, -np.inf), "'estimates' is not finite"),
        ("jacobian", replaced(0, np.nan), "'jacobian' is not finite"),
        ("centre", replaced(0, np.nan), "'centre' is not finite"),
        ("scale", replaced(0, 0.0), "not above 0"),
        ("scale", replaced(0, -1.0), "not above 0"),
        ("facts", replaced(0, np.nan), "'facts' is not finite"),
        ("weight", replaced(0, -1.0), "negative weights"),
        ("weight", np.zeros_like, "none above 0"),
        ("weight", lambda a: np.append(a, 1.0), "does not number the units"),
        ("class_weight", replaced(0, -1.0), "negative weights"),
        ("unit", replaced(0, -1), "does not number the units"),
        ("unit", replaced(0, 2**31 - 1), "does not number the units"),
        ("unit", lambda a: a.astype(float), "'unit' is float64"),
        ("unit", lambda a: a[:-1], "are not the 119"),
        ("unit", lambda a: a[:0], "does not number the units"),
        ("noise0", lambda a: a[::-1], "lower bound above"),
        ("noise0", lambda a: np.repeat(a, 2, axis=1), "'noise0' is float64"),
        ("gradient", lambda a: a[:-1], "'gradient' is float64"),
        ("starts", lambda a: a[:0], "'starts' is float64"),
    ],
)
def test_numbers(name, change, match, tmp_path):
    refused(tmp_path, with_array(name, change), match)


@pytest.mark.parametrize("name", ["huge array", "bomb", "bomb of text", "many members"])
def test_no_file_fills_the_memory(name, tmp_path):
    made, match = CONTAINERS[name][0](), CONTAINERS[name][1]
    tracemalloc.start()
    try:
        refused(tmp_path, made, match)
        assert tracemalloc.get_traced_memory()[1] < 3e7
    finally:
        tracemalloc.stop()


def paths(value, path=()):
    """Every place in the JSON, with the first of alike rows only."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value[:2]):
            yield from paths(inner, (*path, index))


def outcome(made: bytes) -> str:
    """What becomes of a file: "refused" by DataError, or "read"; any other exception passes."""
    try:
        model = files.restored(made)
    except ms.DataError:
        return "refused"
    assert np.isfinite(model.fitted_.phi).all()
    return "read"


@pytest.mark.parametrize("junk", [None, -1, 10**30, True, 0.5, "x", "", [], {}, [[]], {"a": 1}], ids=repr)
def test_any_value_in_any_place(junk):
    plain = json.loads(members()["model.json"])
    found = set()
    for path in paths(plain):

        def change(plain, path=path):
            for key in path[:-1]:
                plain = plain[key]
            plain[path[-1]] = junk

        found.add(outcome(with_json(change)))
    assert "refused" in found


def test_any_key_left_out():
    plain = json.loads(members()["model.json"])
    read = set()
    for path in paths(plain):
        if not isinstance(path[-1], str):
            continue

        def change(plain, path=path):
            for key in path[:-1]:
                plain = plain[key]
            del plain[path[-1]]

        if outcome(with_json(change)) == "read":
            read.add(path)
    assert all(path[0] in ("made_with", "coordinates") or "fields" in path for path in read)


def test_bytes_changed_at_random():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        made = bytearray(content())
        for place in rng.integers(0, len(made), rng.integers(1, 4)):
            made[place] ^= 1 << int(rng.integers(8))
        found.append(outcome(bytes(made)))
    assert found.count("refused") > 200


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        ms.load(tmp_path / "none.npz")
    with pytest.raises(OSError):  # noqa: PT011
        ms.load(tmp_path)
