"""The checkpoint before the last one is kept: a damaged last one ends no run."""

from __future__ import annotations

import os
import shutil

import pytest
import torch

from eqmodels import load
from eqmodels.errors import EqmodelsError
from eqmodels.hub import load_pretrained
from eqmodels.storage import StorageError, write_atomically
from eqmodels.training import Pretraining, TrainingError, pretrain
from tests.training.runs import photos, tiny, weights

LAST, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"
CONFIG = tiny(epochs=2)


def trained(folder, **options):
    return pretrain(CONFIG, folder, data=photos(), device="cpu", quiet=True, checkpoint_seconds=0.0, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of an undisturbed run."""
    folder = tmp_path_factory.mktemp("finished")
    trained(folder)
    return folder


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """The folder of a run that was stopped in its second epoch."""
    folder, step = tmp_path_factory.mktemp("stopped"), Pretraining.step

    def stopping(run):
        if (run.progress.epoch, run.progress.step) == (1, 2):
            raise KeyboardInterrupt
        step(run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pretraining, "step", stopping)
        with pytest.raises(KeyboardInterrupt):
            trained(folder)
    return folder


@pytest.fixture
def stopped(interrupted, tmp_path):
    return shutil.copytree(interrupted, tmp_path / "run")


def progress(file):
    content = torch.load(file, weights_only=True)["progress"]
    return content["epoch"], content["step"]


DAMAGE = {
    "cut": lambda file: os.truncate(file, file.stat().st_size // 2),
    "empty": lambda file: file.write_bytes(b""),
    "garbage": lambda file: file.write_bytes(b"nonsense"),
    "gone": lambda file: file.unlink(),
}


def test_the_one_before_the_last_is_kept_until_the_run_is_done(stopped, finished):
    assert progress(stopped / LAST) == (1, 2)
    assert progress(stopped / PREVIOUS) == (1, 1)
    assert not list(stopped.glob(".*.part"))
    assert (finished / LAST).exists()
    assert not (finished / PREVIOUS).exists()


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_run_goes_on_from_the_one_before_a_damaged_one(stopped, finished, damage):
    DAMAGE[damage](stopped / LAST)
    with pytest.warns(UserWarning, match=r"checkpoint\.pt cannot be read \(.+\); the checkpoint before it"):
        trained(stopped)
    assert weights(stopped) == weights(finished)


def test_the_one_before_takes_the_place_of_the_damaged_one(stopped, monkeypatch):
    """Otherwise the damaged one would displace it, and a run that is killed then would have none."""
    before = (stopped / PREVIOUS).read_bytes()
    DAMAGE["cut"](stopped / LAST)
    monkeypatch.setattr(Pretraining, "step", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.warns(UserWarning, match="is taken in its place"), pytest.raises(KeyboardInterrupt):
        trained(stopped)
    assert (stopped / LAST).read_bytes() == before


def test_two_damaged_ones_end_the_run_in_a_sentence_that_names_both(stopped):
    for name in (LAST, PREVIOUS):
        DAMAGE["cut"](stopped / name)
    sentence = r"checkpoint\.pt cannot be read \(.+\), nor can checkpoint\.previous\.pt, .* Delete both to start"
    with pytest.raises(TrainingError, match=sentence):
        trained(stopped)


def test_one_that_could_run_code_is_not_taken_for_a_damaged_one(stopped):
    torch.save({"format": 2, "config": StorageError}, stopped / LAST)
    with pytest.raises(TrainingError, match="could run any code"):
        trained(stopped)


def test_a_network_is_loaded_from_the_one_before_and_nothing_is_moved(stopped):
    good = load_pretrained(stopped)
    DAMAGE["cut"](stopped / LAST)
    before = {file.name: file.read_bytes() for file in stopped.iterdir()}
    with pytest.warns(UserWarning, match="is taken in its place"):
        older = load_pretrained(stopped)
    assert good.provenance == older.provenance
    assert {file.name: file.read_bytes() for file in stopped.iterdir()} == before
    with pytest.raises(TrainingError, match=r"checkpoint\.pt cannot be read"):
        load_pretrained(stopped / LAST)  # which was asked for itself


def test_a_folder_with_the_one_before_alone_is_of_a_run_that_is_not_done(stopped):
    (stopped / LAST).unlink()
    with pytest.raises(EqmodelsError, match=r"of a run that is not done: it has checkpoint\.previous\.pt"):
        load(stopped)
    with pytest.warns(UserWarning, match="is taken in its place"):
        load_pretrained(stopped)


@pytest.mark.parametrize("links", [True, False])
def test_what_was_there_is_kept_and_what_fails_leaves_both(tmp_path, monkeypatch, links):
    if not links:

        def refuse(*_, **__):
            raise OSError("no second names here")

        monkeypatch.setattr(os, "link", refuse)
    file, kept = tmp_path / "a", tmp_path / "b"
    for content in ("1", "2", "3"):
        write_atomically(file, content, keep_as=kept)
    assert (file.read_text(), kept.read_text()) == ("3", "2")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(StorageError):
        write_atomically(file, "4", keep_as=kept)
    assert (file.read_text(), kept.read_text()) == ("3", "2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
