"""Shapes in signatures: checked at run time when the tests ask for it, and free where jaxtyping is not imported."""

from __future__ import annotations

import importlib
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


def test_the_shape_checks_that_were_asked_for_are_on(request):
    """Also in the workers of pytest-xdist; otherwise every shape test would pass without a check."""
    asked = request.config.getoption("jaxtyping_packages", default=None)
    if not asked:
        pytest.skip("the option --jaxtyping-packages was not given")
    loader = importlib.import_module("eqmodels.groups").__spec__.loader
    assert type(loader).__module__.startswith("jaxtyping")
