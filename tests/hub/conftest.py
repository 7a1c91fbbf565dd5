"""A Hub, its client, and a network to publish."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from eqmodels import load
from eqmodels.cli import main
from eqmodels.hub import load_pretrained
from eqmodels.training import load_run
from tests.hub.judge import Judge
from tests.hub.models import FILES
from tests.hub.networks import REPOSITORY, TOKEN, TOKENS, make_zoo, network, prepare, write
from tests.hub_server import HubServer


@pytest.fixture
def server():
    with HubServer(TOKENS) as hub:
        yield hub


@pytest.fixture
def api(server, tmp_path):
    """The client of one who may write."""
    with server.client(tmp_path / "home", TOKEN) as client:
        yield client


@pytest.fixture
def model(server):
    """A published model, of a few meaningless files."""
    server.publish("org/model", FILES, tag="v1")
    return "org/model"


@pytest.fixture
def folder(tmp_path):
    return make_zoo(tmp_path / "zoo")


@pytest.fixture
def prepared(monkeypatch):
    """Where the card is not what is tested."""
    prepare(monkeypatch)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A Hub to which the command has published the network, and what it printed; for reading only."""
    place = tmp_path_factory.mktemp("published")
    folder = make_zoo(place / "zoo")
    with HubServer(TOKENS) as server, server.client(place / "home", TOKEN) as api:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert main(["publish", str(folder), "--repo", REPOSITORY]) == 0
        yield SimpleNamespace(server=server, api=api, place=place, folder=folder, out=out.getvalue())


@pytest.fixture
def shapes_once(monkeypatch, no_shape_checks):
    """The shapes of a network are worked out once a description: else most of the time would go into them."""
    for module, name in (("eqmodels.training.run", "build_learner"), ("eqmodels.backbones.loading", "build_described")):
        build = getattr(import_module(module), name)
        monkeypatch.setattr(f"{module}.{name}", partial(_build, build, {}))


def _build(build: Callable, known: dict[str, Any], *description: Any) -> Any:
    if torch.get_default_device().type != "meta":
        return build(*description)
    key = repr(description)
    if key not in known:
        known[key] = build(*description)
    return known[key]


@pytest.fixture
def place(tmp_path):
    """A folder in memory, if the system has such, as files are written ten thousand times; and one thread for all."""
    memory, threads = Path("/dev/shm"), torch.get_num_threads()
    torch.set_num_threads(1)
    with TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        yield Path(folder)
    torch.set_num_threads(threads)


@pytest.fixture
def judge(place, shapes_once):
    return Judge(write(place, network()), [load_run, load, load_pretrained])


@pytest.fixture(params=[0.1, pytest.param(1.0, marks=pytest.mark.slow)], ids=["a tenth", "all"])
def share(request) -> float:
    """Which part of the files is damaged."""
    return request.param
