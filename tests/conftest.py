"""What every test shares: seeds, threads and hypothesis."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Generator, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import hypothesis
import numpy as np
import pytest
import torch

from tests.registering import forgotten

if TYPE_CHECKING:
    from eqmodels.registry import Registry

REGISTRIES = {
    "eqmodels.backbones": ["ORIGINS"],
    "eqmodels.backbones.registry": ["BACKBONES"],
    "eqmodels.data": ["SOURCES"],
    "eqmodels.heads": ["HEADS"],
    "eqmodels.objectives": ["OBJECTIVES", "TEACHERS"],
    "eqmodels.tasks": ["TASKS"],
    "eqmodels.training.optimisers": ["OPTIMISERS"],
    "eqmodels.transforms": ["AUGMENTATIONS"],
}
"""Where the registries are: imported by the tests, since what is imported before has no shape checks."""

_Module = TypeVar("_Module", bound=torch.nn.Module)

hypothesis.settings.register_profile("everywhere", deadline=None, database=None)
hypothesis.settings.register_profile("ci", parent=hypothesis.settings.get_profile("everywhere"), derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "everywhere")


def pytest_configure() -> None:
    """Share the processor among the workers of pytest-xdist."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        torch.set_num_threads(1)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nothing that collecting makes is garbage, and nothing of it becomes any: it is not searched, then or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    """An option for what runs beside a run with the shapes checked."""
    parser.addoption(
        "--shapes-checked-elsewhere",
        action="append",
        default=[],
        metavar="PATH",
        help="leave out the tests of this file or folder that a run with --jaxtyping-packages has too",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Splits the tests between the run where shapes are checked and the one beside it: each is in one of them.

    Where shapes are checked, the tests that trace and those that turn the checks off are left out. The other run has
    these of the folders that are checked, and everything of the rest.
    """
    elsewhere = tuple(config.rootpath / path for path in config.getoption("--shapes-checked-elsewhere"))
    if config.getoption("jaxtyping_packages", None):
        without = [item for item in items if _cannot_be_checked(item)]
    else:
        without = [
            item
            for item in items
            if any(item.path.is_relative_to(path) for path in elsewhere) and not _cannot_be_checked(item)
        ]
    if without:
        there = set(without)
        items[:] = [item for item in items if item not in there]
        config.hook.pytest_deselected(items=without)


def _cannot_be_checked(item: pytest.Item) -> bool:
    """Whether a test traces, which the checks would break, or turns the checks off."""
    return item.get_closest_marker("tracing") is not None or "no_shape_checks" in getattr(item, "fixturenames", ())


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Every test starts from the same global random state, in whatever order and process it runs."""
    # `torch.manual_seed` keeps a traceback for every device that is not in use: a millisecond a test.
    torch.default_generator.manual_seed(0)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(0)
    np.random.seed(0)  # noqa: NPY002


@pytest.fixture(scope="session")
def registries() -> tuple[Registry[Any], ...]:
    """Every registry, with what the package registers."""
    return tuple(getattr(import_module(module), name) for module, names in REGISTRIES.items() for name in names)


@pytest.fixture(autouse=True)
def _registered(registries) -> Iterator[None]:
    """What a test registers is forgotten after it; what fixtures of wider scope register is there as long as they."""
    with forgotten(registries):
        yield


@pytest.fixture
def randomised() -> Callable[[_Module], _Module]:
    """A function that gives a network the scales, shifts and statistics of one that was trained, and returns it."""

    def randomise(model: _Module) -> _Module:
        with torch.no_grad():
            for name, value in model.named_parameters():
                if value.dim() == 1:
                    value.copy_(torch.randn_like(value) * 0.2 + (1 if name.endswith("weight") else 0))
            for name, value in model.named_buffers():
                if name.endswith("running_mean"):
                    value.normal_(std=0.2)
                elif name.endswith("running_var"):
                    value.uniform_(0.5, 2)
        return model

    return randomise


@pytest.fixture
def no_shape_checks() -> Iterator[None]:
    """Turns the run-time shape checks off, so that wrong input meets what a user's wrong input meets."""
    if "jaxtyping" not in sys.modules:
        yield
        return
    config = sys.modules["jaxtyping"].config
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", before)
