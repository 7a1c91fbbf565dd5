"""Whatever breaks while a network is fetched, what is loaded is whole, or a sentence says why not."""

from __future__ import annotations

import re

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load as parse

from eqmodels import load
from tests.hub.faults import STATUSES, assert_cache_is_whole, attempt, broken
from tests.hub.networks import REPOSITORY, assert_is_network, network, refuses
from tests.hub_server import Fault

SOURCE = f"hub:{REPOSITORY}"


def is_old(encoder) -> bool:
    """Whether it is the network of seed 0, or at least its last filters are."""
    weight = parse(network()["model.safetensors"])["backbone.layer4.1.conv2.weight"]
    return torch.equal(encoder.state_dict()["layer4.1.conv2.weight"], weight)


DOWNLOADS = {
    "HEAD config": r"HEAD .*/config\.json",
    "GET config": r"GET .*/config\.json",
    "HEAD weights": r"HEAD .*/model\.safetensors",
    "GET weights": r"GET .*/model\.safetensors",
}
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
    [
        pytest.param(*pair, marks=() if pair[1] in ("hang up", "500", "corrupt") else pytest.mark.slow)
        for pair in DOWNLOAD_FAULTS
        if pair[1] in ("hang up", "500", "404", "corrupt", "wrong hash", "reset")
    ],
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
