"""The networks in timm's registry: ``import eqmodels.timm``, and timm's functions know them by their names.

timm has no entry points, so that this is the one line that its functions need; and its scripts, unchanged, none::

    python -m eqmodels.timm train.py images --model c4_resnet18_w32 --num-classes 10

runs a script as Python would, once the networks are registered.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from eqmodels.hub import register_timm

__all__ = ["register_timm"]

register_timm()


def _run() -> None:
    """Runs the script that the command line names, with the words that follow as its own."""
    if len(sys.argv) < 2 or not Path(sys.argv[1]).is_file():
        raise SystemExit(
            f"the first word must be the path of a script; got {' '.join(sys.argv[1:2]) or 'none'}. Use, for instance, "
            "python -m eqmodels.timm train.py images --model c4_resnet18_w32"
        )
    del sys.argv[0]
    sys.path.insert(0, str(Path(sys.argv[0]).resolve().parent))
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    _run()
