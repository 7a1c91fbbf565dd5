from __future__ import annotations

import pytest

from eqmodels.cli import evaluate as command
from eqmodels.cli import main
from eqmodels.data import balanced_subset, load_data

TINY = ["--model", "c4_resnet18s_w4", "--limit", "64", "--batch-size", "32", "--epochs", "1", "--head-hidden", "16"]

TEST_IMAGES = 200


@pytest.fixture
def few_images(monkeypatch):
    """Of the test images, ``eqmodels evaluate`` reads so many as show what is printed."""
    monkeypatch.setattr(command, "loaded", few)


def few(name, split, options, *, root):
    data = load_data(name, split, root=root, **options)
    return data if split == "train" else balanced_subset(data, TEST_IMAGES)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """The folder of a finished run of a few steps."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(["pretrain", *TINY, "--folder", str(folder), "--quiet"]) == 0
    return folder
