"""The examples in docstrings run as printed."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import eqmodels

FINDER = doctest.DocTestFinder(exclude_empty=True)
NAMES = [module.name for module in pkgutil.walk_packages(eqmodels.__path__, "eqmodels.")]


def examples(name: str) -> list[doctest.DocTest]:
    found = FINDER.find(importlib.import_module(name), name)
    return [test for test in found if test.examples]


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith("__main__")])
def test_the_examples_of_a_module_run_as_printed(name):
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    report: list[str] = []
    for test in examples(name):
        runner.run(test, out=report.append)
    assert not runner.summarize(verbose=False).failed, "".join(report)


def test_there_are_examples():
    assert sum(len(examples(name)) for name in NAMES if not name.endswith("__main__")) > 20
