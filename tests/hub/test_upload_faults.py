"""Whatever breaks while a network is published, what was published before stays, and the same again goes on."""

from __future__ import annotations

import pytest

from eqmodels import EqmodelsError, load
from eqmodels.hub import publish
from tests.hub.faults import STATUSES, attempt, broken
from tests.hub.networks import PUBLISHING, REPOSITORY, TOKEN, assert_is_network, make_zoo, publication, refuses
from tests.hub_server import Fault

SOURCE = f"hub:{REPOSITORY}"

UPLOADS = {
    "create": "POST /api/repos/create",
    "info": r"GET /api/models/org/network($|\?)",
    "card": "POST /api/validate-yaml",
    "preupload": "POST .*/preupload/",
    "batch": "POST .*/objects/batch",
    "put": "PUT /storage",
    "verify": "POST .*/objects/verify",
    "commit": "POST .*/commit/",
    "tag": "POST .*/tag/",
    "refs": r"GET /api/models/org/network/refs",
}
AFTER_THE_COMMIT = ("tag", "refs")
OF_ALL_UPLOADS = {"hang up": {"kind": "hang up"}, **STATUSES}
OF_UPLOADS = {
    **OF_ALL_UPLOADS,
    "lost": {"kind": "lost"},
    "cut": {"kind": "cut", "at": 10},
    "reset": {"kind": "reset", "at": 10},
    "corrupt": {"kind": "corrupt", "at": 1000},
}
UPLOAD_FAULTS = [(call, fault) for call in UPLOADS for fault in OF_ALL_UPLOADS]
UPLOAD_FAULTS += [(call, "lost") for call in ("create", "put", "commit", "tag")]
UPLOAD_FAULTS += [(call, "cut") for call in UPLOADS if call not in ("info", "card", "refs")]
UPLOAD_FAULTS += [("put", "reset"), ("put", "corrupt"), ("commit", "reset")]


def upload_fault(call: str, fault: str, **options) -> Fault:
    return Fault(UPLOADS[call], **{**OF_UPLOADS[fault], **options})


def content(server, revision="main"):
    """The files of the repository, without that of the Hub itself."""
    files = server.repositories[REPOSITORY].find(revision).files
    return {path: server.storage.blobs[entry.oid] for path, entry in files.items() if path != ".gitattributes"}


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize(("call", "fault"), UPLOAD_FAULTS)
def test_a_publication_that_fails_once_is_whole_or_refused_and_then_whole(server, tmp_path, call, fault):
    old = server.publish(REPOSITORY, publication(), tag="v1")
    folder = make_zoo(tmp_path / "zoo", seed=1)
    with server.client(tmp_path / "home", TOKEN):
        with broken(server, upload_fault(call, fault)):
            first = attempt(publish, folder, REPOSITORY)
        now = content(server)
        assert now in (publication(), publication(1))
        assert content(server, old) == publication()
        if first is not None:
            assert now == publication(1)
        elif fault == "hang up":
            assert_is_network(load(SOURCE), seed=int(call in AFTER_THE_COMMIT))
            assert_is_network(load(f"{SOURCE}@v1"), seed=0)
        again = publish(folder, REPOSITORY)
    assert content(server) == publication(1)
    repository = server.repositories[REPOSITORY]
    assert repository.tags == {"v1": old, again.tag: repository.branches["main"]}
    assert again.entry.commit == repository.branches["main"]
    assert len(repository.history("main")) == 3  # the first one, the old one, the new one


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize("call", UPLOADS)
def test_a_first_publication_that_is_refused_at_any_call_is_one_sentence(server, tmp_path, call):
    """And nobody can load a part of it."""
    folder = make_zoo(tmp_path / "zoo")
    with server.client(tmp_path / "home", TOKEN):
        with broken(server, upload_fault(call, "403", times=None)):
            refuses(r"^the Hub refuses to write org/network \(403: .*Log in", publish, folder, REPOSITORY)
        if call not in AFTER_THE_COMMIT:
            refuses("^(there is no repository org/network|org/network@main has no config.json)", load, SOURCE)
        assert publish(folder, REPOSITORY).changed == (call not in AFTER_THE_COMMIT)
        assert_is_network(load(SOURCE))


@pytest.mark.usefixtures("prepared")
def test_a_slow_hub_gets_everything(server, tmp_path):
    with server.client(tmp_path / "home", TOKEN), broken(server, Fault("", "slow", seconds=0.1, times=None)):
        assert publish(make_zoo(tmp_path / "zoo"), REPOSITORY).changed
    assert content(server) == publication()


def test_what_fails_while_a_card_is_made_leaves_the_hub_alone(server, tmp_path, monkeypatch):
    def fail(*_):
        raise EqmodelsError("no card")

    monkeypatch.setattr(PUBLISHING, "publication_files", fail)
    with server.client(tmp_path / "home", TOKEN):
        refuses("^no card$", publish, make_zoo(tmp_path / "zoo"), REPOSITORY)
    assert server.requests == []
