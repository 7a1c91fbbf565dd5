"""Whatever breaks between here and the Hub, what is loaded or published is whole, or a sentence says why.

Connections that break, answers that are damaged, refused or late, processes that die, disks that are full.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from hashlib import sha1, sha256
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load as parse

from eqmodels import EqmodelsError, load
from eqmodels.hub import publish
from tests.hub.test_publish import (
    PUBLISHING,
    REPOSITORY,
    TOKEN,
    TOKENS,
    assert_is_network,
    make_zoo,
    network,
    prepare,
    publication,
    refuses,
)
from tests.hub_server import Fault, HubServer, run_client

SOURCE = f"hub:{REPOSITORY}"


@pytest.fixture
def server():
    with HubServer(TOKENS) as hub:
        yield hub


@pytest.fixture
def prepared(monkeypatch):
    """What is checked and drawn before the Hub is asked anything is remembered, as it is not what is tested."""
    prepare(monkeypatch)


@contextmanager
def broken(server, *faults):
    """For a while some requests go wrong; at least one did."""
    server.faults[:] = faults
    try:
        yield
        assert any(fault.seen for fault in faults)
    finally:
        server.faults.clear()


def assert_cache_is_whole(home: Path):
    """Asserts that what the cache offers as files has the hashes that they are stored under."""
    for path in home.rglob("snapshots/*/*"):
        content, name = path.read_bytes(), path.resolve().name
        known = sha256(content) if len(name) == 64 else sha1(b"blob %d\0" % len(content) + content)
        assert known.hexdigest() == name


def attempt(call, *arguments, **options):
    """What a call gives; None if it ends with one sentence."""
    try:
        return call(*arguments, **options)
    except EqmodelsError as error:
        words = str(error)
    assert "\n" not in words
    assert words.isprintable()
    assert 40 < len(words) < 1200
    assert TOKEN not in words
    return None


def is_old(encoder) -> bool:
    """Whether it is the network of seed 0, or at least its last filters are."""
    weight = parse(network()["model.safetensors"])["backbone.layer4.1.conv2.weight"]
    return torch.equal(encoder.state_dict()["layer4.1.conv2.weight"], weight)


# Downloads.


DOWNLOADS = {
    "HEAD config": r"HEAD .*/config\.json",
    "GET config": r"GET .*/config\.json",
    "HEAD weights": r"HEAD .*/model\.safetensors",
    "GET weights": r"GET .*/model\.safetensors",
}
STATUSES = {str(status): {"kind": "status", "status": status} for status in (401, 403, 404, 429, 500)}
ANY = {"hang up": {"kind": "hang up"}, "slow": {"kind": "slow", "seconds": 0.3}, **STATUSES}
OF_HEADERS = {**ANY, "wrong hash": {"kind": "wrong_hash"}}
OF_BODIES = {
    **ANY,
    "cut": {"kind": "cut", "at": 200},
    "reset": {"kind": "reset", "at": 200},
    "truncated": {"kind": "truncate", "at": 200},
    "nothing": {"kind": "truncate", "at": 0},
    "corrupt": {"kind": "corrupt", "at": 200},
}
DOWNLOAD_FAULTS = [
    (call, fault) for call in DOWNLOADS for fault in (OF_HEADERS if call.startswith("HEAD") else OF_BODIES)
]


def download_fault(call: str, fault: str, **options) -> Fault:
    return Fault(DOWNLOADS[call], **{**{**OF_HEADERS, **OF_BODIES}[fault], **options})


@pytest.mark.parametrize(("call", "fault"), DOWNLOAD_FAULTS)
def test_a_download_that_fails_once_is_whole_or_refused_and_then_whole(server, tmp_path, call, fault):
    server.publish(REPOSITORY, network())
    with server.client(tmp_path):
        with broken(server, download_fault(call, fault)):
            first = attempt(load, SOURCE)
        if first is None:
            assert fault not in ("slow", "corrupt", "wrong hash")  # it waits, and fetches once more
            assert_cache_is_whole(tmp_path)
        else:
            assert_is_network(first)
        assert_is_network(load(SOURCE))


@pytest.mark.parametrize(
    ("call", "fault"),
    [pair for pair in DOWNLOAD_FAULTS if pair[1] in ("hang up", "500", "404", "corrupt", "wrong hash", "reset")],
)
def test_an_update_that_fails_leaves_the_old_network_or_the_new_one(server, tmp_path, call, fault):
    server.publish(REPOSITORY, network(), tag="v1")
    with server.client(tmp_path):
        load(SOURCE)
        server.publish(REPOSITORY, network(seed=1))
        with broken(server, download_fault(call, fault)):
            found = attempt(load, SOURCE)
        if found is not None:
            assert_is_network(found, seed=int(not is_old(found)))
        assert_is_network(load(SOURCE), seed=1)
        assert_is_network(load(f"{SOURCE}@v1"), seed=0)


@pytest.mark.parametrize(
    ("call", "fault"),
    [pair for pair in DOWNLOAD_FAULTS if pair[1] in ("401", "403", "404", "reset", "truncated")],
)
def test_a_download_that_always_fails_is_one_sentence(server, tmp_path, call, fault):
    server.publish(REPOSITORY, network())
    name = "config.json" if "config" in call else "model.safetensors"
    with server.client(tmp_path):
        with broken(server, download_fault(call, fault, times=None)):
            words = refuses(name, load, SOURCE)
        assert "org/network@" in words
        if fault.isdigit():
            assert fault in words
            assert ("hf auth login" in words) == (fault in ("401", "403"))
        assert_cache_is_whole(tmp_path)
        assert_is_network(load(SOURCE))


def test_a_hub_that_is_too_busy_for_long_is_one_sentence(server, tmp_path):
    """The client comes again five times."""
    server.publish(REPOSITORY, network())
    with server.client(tmp_path):
        with broken(server, download_fault("GET weights", "429", times=None)):
            refuses("^the Hub answered 429 to the request for model.safetensors of org/network@", load, SOURCE)
        assert_is_network(load(SOURCE))


@pytest.mark.parametrize("call", ["GET config", "GET weights"])
def test_a_file_that_is_always_damaged_is_named_and_nothing_is_loaded(server, tmp_path, call):
    server.publish(REPOSITORY, network())
    name = "config.json" if "config" in call else "model.safetensors"
    with server.client(tmp_path):
        with broken(server, download_fault(call, "corrupt", times=None)):
            refuses(f"/{name} is damaged: its hash is not the one that the Hub names, although", load, SOURCE)
        assert server.calls(DOWNLOADS[call])
        assert len(server.calls(DOWNLOADS[call])) == 2  # fetched once more, and not again
        assert_is_network(load(SOURCE))


@pytest.mark.parametrize("call", ["HEAD config", "HEAD weights"])
def test_a_hub_that_always_names_another_hash_is_refused(server, tmp_path, call):
    server.publish(REPOSITORY, network())
    with server.client(tmp_path):
        with broken(server, download_fault(call, "wrong hash", times=None)):
            refuses("is damaged: its hash is not the one that the Hub names", load, SOURCE)
        assert_is_network(load(SOURCE))


def test_a_hub_that_is_down_leaves_what_the_cache_has(server, tmp_path):
    server.publish(REPOSITORY, network())
    with server.client(tmp_path):
        load(SOURCE)
        server.publish(REPOSITORY, network(seed=1))
        with broken(server, Fault("", "status", status=500, times=None)):
            assert_is_network(load(SOURCE), seed=0)
        assert_is_network(load(SOURCE), seed=1)


def test_a_slow_hub_is_waited_for_until_patience_ends(server, tmp_path, monkeypatch):
    server.publish(REPOSITORY, network())
    with server.client(tmp_path):
        with broken(server, Fault("GET .*safetensors", "slow", at=20_000, seconds=0.1), Fault("HEAD", "slow", times=2)):
            assert_is_network(load(SOURCE))
        for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
            monkeypatch.setattr(constants, name, 0.2)
        for call in ("HEAD config", "GET weights"):  # the client gives up, and comes again
            with broken(server, download_fault(call, "slow", seconds=0.6)):
                assert_is_network(load(SOURCE, force_download=call.startswith("GET"), cache_dir=tmp_path / call[:3]))


# Revisions that move.


def test_a_tag_that_moves_gives_the_new_network_whole_and_a_pinned_load_the_old_one(server, tmp_path):
    old = server.publish(REPOSITORY, network(), tag="v1")
    with server.client(tmp_path):
        assert_is_network(load(f"{SOURCE}@v1"), seed=0)
        new = server.publish(REPOSITORY, network(seed=1))
        assert_is_network(load(f"{SOURCE}@v1"), seed=0)
        server.move_tag(REPOSITORY, "v1", new)
        assert_is_network(load(f"{SOURCE}@v1"), seed=1)
        for cache_dir in (None, tmp_path / "empty"):
            assert_is_network(load(f"{SOURCE}@{old}", cache_dir=cache_dir), seed=0)


@pytest.mark.parametrize("moment", DOWNLOADS.values(), ids=DOWNLOADS)
def test_a_branch_that_moves_during_a_load_gives_one_commit_whole(server, tmp_path, moment):
    server.publish(REPOSITORY, network())

    class Moving(Fault):
        def strikes(self, request):
            if re.search(self.match, request) and not self.seen:
                self.seen = 1
                server.publish(REPOSITORY, network(seed=1))
            return False

    with server.client(tmp_path):
        with broken(server, Moving(moment, "hang up")):
            found = attempt(load, SOURCE)
        if found is None:
            assert moment == DOWNLOADS["GET config"]  # of another size than the Hub said just before
        else:
            assert_is_network(found, seed=int(moment == DOWNLOADS["HEAD config"]))
        assert_is_network(load(SOURCE), seed=1)


# Processes and disks.


LOAD = f"""
    import sys, eqmodels
    try:
        encoder = eqmodels.load({SOURCE!r})
    except (eqmodels.EqmodelsError, ValueError) as error:
        print(error)
        sys.exit(3)
    print(float(encoder.layer4[1].conv2.weight.detach().double().sum()))
"""


def start(environment) -> subprocess.Popen:
    """A process that loads the network."""
    command = [sys.executable, "-c", textwrap.dedent(LOAD)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_that_load_at_once_have_the_same_network(server, tmp_path):
    server.publish(REPOSITORY, network())
    # So slow that both are at it.
    server.faults.append(Fault("GET .*safetensors", "slow", at=10_000, seconds=0.3, times=None))
    processes = [start(server.environment(tmp_path)) for _ in range(2)]
    outputs = [process.communicate(timeout=180) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    server.faults.clear()
    with server.client(tmp_path):
        encoder = load(SOURCE, local_files_only=True)
    assert_is_network(encoder)
    expected = float(encoder.layer4[1].conv2.weight.detach().double().sum())
    assert [float(out) for out, _ in outputs] == [expected, expected]
    assert_cache_is_whole(tmp_path)


def test_a_process_that_is_killed_during_a_download_leaves_nothing_in_the_way(server, tmp_path):
    server.publish(REPOSITORY, network())
    server.faults.append(Fault("GET .*safetensors", "slow", at=2_000, seconds=0.2, times=None))
    process = start(server.environment(tmp_path))
    try:
        while not server.calls("GET .*safetensors"):
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        time.sleep(0.5)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    server.faults.clear()
    assert list(tmp_path.rglob("*.incomplete"))
    with server.client(tmp_path):
        refuses("^model.safetensors of org/network@main is not in the cache", load, SOURCE, local_files_only=True)
        assert_is_network(load(SOURCE))
    assert_cache_is_whole(tmp_path)


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(server, tmp_path):
    server.publish(REPOSITORY, network())
    limited = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n" + textwrap.dedent(LOAD)
    ended = run_client(limited, server.environment(tmp_path), timeout=180)
    assert ended.returncode == 3, ended.stderr
    assert re.match(
        r"no space is left for model.safetensors of org/network@main \(.*File too large.*HF_HOME", ended.stdout
    )
    assert ended.stdout.count("\n") == 1
    assert_cache_is_whole(tmp_path)
    assert not list(tmp_path.rglob("*.incomplete"))
    with server.client(tmp_path):
        assert_is_network(load(SOURCE))


@pytest.mark.parametrize("place", ["file", "file/cache", "/proc/nothing", "/dev/null/cache"])
def test_a_cache_that_cannot_be_written_is_one_sentence(server, tmp_path, place):
    """Not even by root, who may write into any folder."""
    server.publish(REPOSITORY, network())
    (tmp_path / "file").write_text("in the way")
    with server.client(tmp_path / "home"):
        refuses(
            r"^the cache of the Hub's files cannot be written .* Set HF_HOME or",
            load,
            SOURCE,
            cache_dir=tmp_path / place,
        )
        assert_is_network(load(SOURCE))
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_cache_that_became_read_only_is_read(server, tmp_path):
    server.publish(REPOSITORY, network())
    with server.client(tmp_path):
        load(SOURCE)
        folders = [path for path in (tmp_path, *tmp_path.rglob("*")) if path.is_dir()]
        try:
            for folder in folders:
                folder.chmod(0o555)
            assert_is_network(load(SOURCE))
        finally:
            for folder in folders:
                folder.chmod(0o755)


# Uploads.


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
}
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
UPLOAD_FAULTS += [(call, "cut") for call in UPLOADS if call not in ("info", "card")]
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
            assert_is_network(load(SOURCE), seed=int(call == "tag"))
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
        if call != "tag":
            refuses("^(there is no repository org/network|org/network@main has no config.json)", load, SOURCE)
        assert publish(folder, REPOSITORY).changed == (call != "tag")
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
