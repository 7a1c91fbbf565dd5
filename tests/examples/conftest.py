from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from eqmodels.cli import main
from tests.registering import forgotten


@pytest.fixture
def command(capsys, registries) -> Callable[..., str]:
    """A function that runs ``eqmodels`` and gives what it prints; what a command imported is forgotten after it.

    That commands work in processes of their own, too, is what the test of the backbone shows.
    """

    def run(*arguments: str) -> str:
        modules = set(sys.modules)
        with forgotten(registries), pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "path", list(sys.path))
            try:
                status = main(list(arguments))
            except SystemExit as ended:  # --help
                status = ended.code
            for name in set(sys.modules) - modules:
                if name.startswith("own_"):
                    del sys.modules[name]
        captured = capsys.readouterr()
        assert status == 0, captured.err
        return captured.out

    return run
