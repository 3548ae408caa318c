"""Checkpoints: going on gives the same numbers to the bit; files of other trainings and damaged ones are refused."""

import json
import zipfile
from dataclasses import replace

import jax
import numpy as np
import pytest

from mixstat.exceptions import ConvergenceWarning, DataError, OptionError
from mixstat.policies import GaussianMixturePolicy, checkpoints
from mixstat.policies.environments import MultiGoal
from mixstat.policies.sac import SAC, CompiledSAC

pytest.importorskip("optax")

POLICY = GaussianMixturePolicy(2, 2, n_experts=2, hidden=(8,))
SMALL = SAC(POLICY, critic_hidden=(8,), batch_size=16, buffer_size=160, n_environments=4, random_steps=40)
ENV = MultiGoal()
STATE = {"a": np.arange(6.0).reshape(2, 3), "b": [np.int32(4), np.array([True, False])]}


def same(one, other) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


def test_a_stopped_training_ends_as_if_it_had_not(tmp_path, monkeypatch):
    whole = SMALL.train(ENV, 400, report_every=80, verbose=0)
    options = {"report_every": 80, "checkpoint": tmp_path / "run.zip", "checkpoint_every": 160, "verbose": 0}
    advance = CompiledSAC.advance

    def until(self, run, first, n):
        if first >= 60:
            raise KeyboardInterrupt
        return advance(self, run, first, n)

    with monkeypatch.context() as patch:
        patch.setattr(CompiledSAC, "advance", until)
        with pytest.warns(ConvergenceWarning, match="240 of 400 steps"):
            SMALL.train(ENV, 400, **options)
    assert json.loads(zipfile.ZipFile(tmp_path / "run.zip").read("checkpoint.json"))["progress"]["iterations"] == 40
    resumed = SMALL.train(ENV, 400, **options)
    assert same(resumed.params, whole.params)
    assert resumed.curve().equals(whole.curve())
    again = SMALL.train(ENV, 400, **options)  # nothing is left to do
    assert same(again.params, whole.params)
    assert again.steps == 400
    with pytest.raises(OptionError, match=r"another training \(method.gamma was 0.99, is 0.9\)"):
        replace(SMALL, gamma=0.9).train(ENV, 400, **options)
    with pytest.raises(OptionError, match="seeds was"):
        SMALL.train(ENV, 400, seed=1, **options)


def test_state_comes_back_with_names_and_types(tmp_path):
    path = tmp_path / "state.zip"
    checkpoints.save(path, STATE, {"kind": "test"}, {"iterations": 3})
    found = checkpoints.load(path, jax.tree.map(np.zeros_like, STATE), {"kind": "test"})
    assert found.progress == {"iterations": 3}
    assert same(found.state, STATE)
    assert [leaf.dtype for leaf in jax.tree.leaves(found.state)] == [np.float64, np.int32, bool]
    assert set(zipfile.ZipFile(path).namelist()) == {"checkpoint.json", "a.npy", "b.0.npy", "b.1.npy"}


def altered(path, name: str, content: bytes | None) -> None:
    """The archive with one member replaced or left out."""
    with zipfile.ZipFile(path) as file:
        members = {info.filename: file.read(info) for info in file.infolist()}
    members.pop(name)
    with zipfile.ZipFile(path, "w") as file:
        for key, value in {**members, **({} if content is None else {name: content})}.items():
            file.writestr(key, value)


def npy(array) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npy", npy(np.zeros((3, 2))), r"'a' of the checkpoint is float64\[3, 2\], expected float64\[2, 3\]"),
        ("a.npy", npy(np.zeros((2, 3), np.float32)), "float32"),
        ("a.npy", npy(np.zeros(10_000)), "holds 80128 bytes where an array of shape"),
        ("a.npy", npy(np.array([None])), "cannot be read"),
        ("a.npy", b"nonsense", "cannot be read"),
        ("a.npy", None, "holds no 'a'"),
        ("checkpoint.json", None, "no checkpoint, or is damaged"),
        ("checkpoint.json", b"{", "no checkpoint, or is damaged"),
        ("checkpoint.json", b"[]", "does not say that it is a checkpoint"),
        ("checkpoint.json", b'{"format": "mixstat policy checkpoint", "version": 9}', "format 9"),
    ],
)
def test_altered_files_are_refused(tmp_path, name, content, words):
    path = tmp_path / "state.zip"
    checkpoints.save(path, STATE, {}, {"iterations": 3})
    altered(path, name, content)
    with pytest.raises(DataError, match=words):
        checkpoints.load(path, STATE, {})


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "state.zip"
    checkpoints.save(path, STATE, {}, {"iterations": 3})
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="no checkpoint, or is damaged"):
        checkpoints.load(path, STATE, {})
