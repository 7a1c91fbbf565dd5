"""Runs timm's own tests of models, from a checkout of timm's source, on our registered names alone.

python tests/peers/timm_models.py path/to/pytorch-image-models ['c4_*_w16' ...] [--passed FILE] [-- words for pytest]

All tests of ``tests/test_models.py`` that go through a list of models, but those of TorchScript; what tests an
architecture of timm's by its name is left out. The source must be of the timm that is installed, since its tests ask
more from one release to the next. With ``--passed``, names of which every test passed are added to a file, and those
that it has are left out: a run that was stopped goes on. Nothing is written into the source. What the suite of this
package asserts of the same contract is in ``tests/hub/test_timm_contract.py``.
"""

from __future__ import annotations

import fnmatch
import os
import re
import sys
from pathlib import Path

import pytest
import timm

import eqmodels.timm

AT_A_TIME = 6
"""Names whose tests run in one go, where those that passed are noted."""


class OursAlone:
    """A plugin of pytest that lets timm list these names and no others, before its tests are collected.

    Args:
        names: of registered networks.
    """

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.passed: set[str] = set()
        self.failed: set[str] = set()

    def listed(self, **chosen: object) -> list[str]:
        """What `timm.list_models` gives, of our names: timm's list of modules says nothing of them."""
        found = timm.models.list_models(**{**chosen, "module": ""})
        return [name for name in found if name.split(".")[0] in self.names]

    def pytest_configure(self) -> None:
        """Puts the list in the place of timm's."""
        timm.list_models = lambda filter="", module="", **chosen: self.listed(filter=filter, module=module, **chosen)
        timm.list_pretrained = lambda filter="": self.listed(filter=filter, pretrained=True, include_tags=True)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keeps the tests of one of our names."""
        items[:] = [item for item in items if self.name_of(item) and "torchscript" not in item.name]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes of which network a test passed or failed; one that is skipped is neither."""
        name = re.split(r"[\[-]", report.nodeid.rstrip("]"))[-1].partition(".")[0]
        if report.failed:
            self.failed.add(name)
        elif report.passed and report.when == "call":
            self.passed.add(name)

    def name_of(self, item: pytest.Item) -> str:
        """The registered name that a test is of; empty if it is of none."""
        given = getattr(getattr(item, "callspec", None), "params", {}).get("model_name")
        name = given.split(".")[0] if isinstance(given, str) else ""
        return name if name in self.names else ""


def main(words: list[str]) -> int:
    """Runs the tests; returns pytest's exit status, the first that is not 0."""
    cut = words.index("--") if "--" in words else len(words)
    words, rest = words[:cut], words[cut + 1 :]
    noted = Path(words.pop(words.index("--passed") + 1)) if "--passed" in words else None
    source, *patterns = (word for word in words if word != "--passed")
    done = set() if noted is None or not noted.exists() else set(noted.read_text("utf-8").split())
    names = [name for name in eqmodels.timm.register_timm() if name not in done and any_matches(name, patterns)]
    options = ["-c", os.devnull, "--rootdir", source, "-p", "no:cacheprovider", "-W", "ignore", *rest]
    status, step = 0, len(names) if noted is None else AT_A_TIME
    for start in range(0, len(names), max(step, 1)):
        ours = OursAlone(names[start : start + step])
        # Its parameters are lists of names that are made when the module is imported.
        sys.modules.pop("tests.test_models", None)
        status = int(pytest.main([str(Path(source) / "tests" / "test_models.py"), *options], plugins=[ours])) or status
        if noted is not None:
            with noted.open("a", encoding="utf-8") as file:
                file.writelines(f"{name}\n" for name in ours.names if name in ours.passed - ours.failed)
    return status


def any_matches(name: str, patterns: list[str]) -> bool:
    """Whether a name fits one of the shell patterns; any does if there are none."""
    return not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def check_source(source: Path) -> None:
    """Refuses what is no source of timm, or that of another version than is installed.

    Raises:
        SystemExit: if it is.
    """
    if not (source / "tests" / "test_models.py").is_file():
        raise SystemExit(__doc__)
    text = (source / "timm" / "version.py").read_text("utf-8")
    if timm.__version__ not in text:
        raise SystemExit(f"the source is of {text.strip()}, and timm {timm.__version__} is installed: take its source.")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    check_source(Path(sys.argv[1]))
    sys.exit(main(sys.argv[1:]))
