"""Shapes in signatures: checked at run time when the tests ask for it, and free where jaxtyping is not imported."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_without_jaxtyping_a_shape_is_its_array():
    program = (
        "import sys, torch\n"
        "from eqmodels._shapes import Bool, Float, Int, Shaped\n"
        "assert 'jaxtyping' not in sys.modules\n"
        "assert all(kind[torch.Tensor, '*batch C'] is torch.Tensor for kind in (Bool, Float, Int, Shaped))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


INNER = """
from importlib.util import find_spec

def test_inner():
    loader = find_spec("eqmodels.groups").loader
    assert type(loader).__module__.startswith("jaxtyping") == {asked}
"""


@pytest.mark.parametrize("asked", [True, False])
def test_the_shape_checks_are_on_where_they_are_asked_for(tmp_path, asked):
    """Also in the workers of pytest-xdist; otherwise `make test-shapes` would pass without a check."""
    options = re.search(r"^SHAPE_CHECKS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    (tmp_path / "test_inner.py").write_text(INNER.format(asked=asked))
    command = [sys.executable, "-m", "pytest", "-q", "-n", "1", "-p", "no:cacheprovider", *(options if asked else [])]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_CORE_"))}
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
