from __future__ import annotations

import pytest

from eqmodels.cli import main

TINY = ["--model", "c4_resnet18s_w4", "--limit", "64", "--batch-size", "32", "--epochs", "1", "--head-hidden", "16"]


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """The folder of a finished run of a few steps."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(["pretrain", *TINY, "--folder", str(folder), "--quiet"]) == 0
    return folder
