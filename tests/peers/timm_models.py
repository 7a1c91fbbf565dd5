"""Runs timm's own tests of models, from a checkout of timm's source, on our registered names alone.

python tests/peers/timm_models.py path/to/pytorch-image-models ['c4_*_w16' ...] [-- words for pytest]

All tests of ``tests/test_models.py`` but those of TorchScript, and of timm's own architectures, against the timm
that is installed: take the source of its version. Nothing is written into it. What the suite of this package asserts of
the same contract is in ``tests/hub/test_timm_contract.py``.
"""

from __future__ import annotations

import fnmatch
import os
import sys
from pathlib import Path

import pytest
import timm

import eqmodels.timm

LEFT_OUT = ("torchscript", "naflex", "gemma4", "model_inference")
"""Parts of names of tests: TorchScript's, of timm's architectures, and of weights in timm's own repositories."""


class OursAlone:
    """A plugin of pytest that lets timm list our names and no others, before its tests are collected."""

    def __init__(self, patterns: list[str]) -> None:
        self.names = [name for name in eqmodels.timm.register_timm() if any_matches(name, patterns)]

    def listed(self, **chosen: object) -> list[str]:
        """What `timm.list_models` gives, of our names: timm's list of modules says nothing of them."""
        found = timm.models.list_models(**{**chosen, "module": ""})
        return [name for name in found if name.split(".")[0] in self.names]

    def pytest_configure(self) -> None:
        """Puts the list in the place of timm's."""
        timm.list_models = lambda filter="", module="", **chosen: self.listed(filter=filter, module=module, **chosen)
        timm.list_pretrained = lambda filter="": self.listed(filter=filter, pretrained=True, include_tags=True)


def any_matches(name: str, patterns: list[str]) -> bool:
    """Whether a name fits one of the shell patterns; any does if there are none."""
    return not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def main(words: list[str]) -> int:
    """Runs the tests; returns pytest's exit status."""
    cut = words.index("--") if "--" in words else len(words)
    (source, *patterns), rest = words[:cut], words[cut + 1 :]
    tests = Path(source) / "tests" / "test_models.py"
    without = " and ".join(f"not {part}" for part in LEFT_OUT)
    options = ["-c", os.devnull, "--rootdir", source, "-p", "no:cacheprovider", "-k", without, "-W", "ignore", *rest]
    return int(pytest.main([str(tests), *options], plugins=[OursAlone(patterns)]))


if __name__ == "__main__":
    if len(sys.argv) < 2 or not (Path(sys.argv[1]) / "tests" / "test_models.py").is_file():
        raise SystemExit(__doc__)
    sys.exit(main(sys.argv[1:]))
