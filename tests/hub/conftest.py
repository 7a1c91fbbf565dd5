"""A Hub, its client, and a network to publish."""

from __future__ import annotations

import contextlib
import io
from types import SimpleNamespace

import pytest

from eqmodels.cli import main
from tests.hub.models import FILES
from tests.hub.networks import REPOSITORY, TOKEN, TOKENS, make_zoo, prepare
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
