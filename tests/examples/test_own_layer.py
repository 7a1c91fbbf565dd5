"""The example of a layer of one's own runs as a user runs it, and says what it should."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_own_layer_is_checked_and_the_wrong_one_is_named(tmp_path):
    """From another folder, with the package on the path alone."""
    run = subprocess.run(
        [sys.executable, ROOT / "examples" / "own_layer.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    right, wrong = run.stdout.splitlines()
    assert right == "FieldGate keeps regular fields of D4: it turns and flips with the image."
    assert wrong.startswith(
        "ChannelGate does not: Sequential at 16x16 is not D4-equivariant: the worst of its layers is 1, whose relative"
    )
    assert wrong.endswith("for the field 8 x regular(d4).")
