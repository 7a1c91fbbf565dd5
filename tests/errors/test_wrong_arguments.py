"""Every public callable takes a wrong argument rightly, or refuses it in one sentence of the package's own.

One argument at a time is wrong, by a seeded generator (`wrong_values`), and the others are right (`right_arguments`).
"""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
import torch

import eqmodels
from tests.errors.public_callables import public_callables
from tests.errors.right_arguments import LATER, RIGHT, Call
from tests.errors.wrong_values import wrong_values

pytestmark = pytest.mark.usefixtures("no_shape_checks")

PACKAGE = str(Path(eqmodels.__file__).parent)
KINDS = (eqmodels.EqmodelsError, ValueError, TypeError, IndexError, FileNotFoundError)
OTHER_NAMES = {
    "maps": ("features",),
    "in_field": ("field", "features"),
    "label_field": ("field", "label", "task"),
    "numbers": ("indices",),
    "names": ("name", "registered under"),
    "num_classes": ("model",),
    "width": ("model",),
    "by": ("model",),
    "network": ("model",),
    "encoder": ("model",),
    "content": ("config",),
    "layout": ("tensors",),
    "expected": ("tensors",),
}
"""What a sentence may call an argument: a layer's `maps` are features, and content that is to be written a config."""


def fault(error: Exception, argument: str) -> str | None:
    """Why an error is not the package's own sentence about an argument; None if it is."""
    message, frames = str(error), traceback.extract_tb(error.__traceback__)
    if not isinstance(error, KINDS):
        return f"is a {type(error).__name__}"
    if not frames[-1].filename.startswith(PACKAGE) or "raise" not in (frames[-1].line or ""):
        return "is raised elsewhere"
    if "\n" in message or not message.endswith("."):
        return "is not one line that ends as a sentence does"
    if len(message) > 1200:
        return "is long"
    names = (argument, argument.replace("_", " "), argument.rstrip("s"), *OTHER_NAMES.get(argument, ()))
    return None if any(name in message for name in (*names, "; got ")) else "does not name the argument"


def asked(call: Call, argument: str, kind: str, value: object) -> str | None:
    """What is wrong with the answer to a wrong argument; None if nothing is."""
    try:
        result = call.target(**{**call.kept, **call.arguments, argument: value})
    except Exception as error:
        reason = fault(error, argument)
        return reason and f"{argument}={kind}: the error {reason}: {type(error).__name__}: {str(error)[:200]}"
    harmless = kind not in ("NaN", "huge", "infinity")
    if harmless and isinstance(result, torch.Tensor) and result.is_floating_point() and not result.is_meta:
        return None if bool(result.isfinite().all()) else f"{argument}={kind}: the result is not finite"
    return None


def test_every_public_callable_has_right_arguments():
    known = {*RIGHT, *LATER}
    names = [(names, {*names, *(name.rpartition(".")[2] for name in names)}) for names, _ in public_callables()]
    assert [sorted(names) for names, words in names if not words & known] == [], "add right arguments to RIGHT"


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_a_wrong_argument_is_one_sentence(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call = RIGHT[name]()
    faults = [
        found
        for argument, right in call.arguments.items()
        for kind, value in wrong_values(right, f"{name}.{argument}", call.values)
        if (found := asked(call, argument, kind, value)) is not None
    ]
    assert not faults, "\n".join(faults)


# `pages.write_demo` needs what npm has.
@pytest.mark.parametrize("name", sorted(set(RIGHT) - {"hub.publish", "hub.verify", "pages.write_demo"}))
def test_the_right_arguments_are_right(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call = RIGHT[name]()
    call.target(**call.kept, **call.arguments)
