"""The Hub of the tests breaks down as told, and what the real client makes of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HTTPError

from tests.hub.models import FILES, WEIGHTS, read, status
from tests.hub_server import Fault


@pytest.mark.parametrize("code", [401, 403, 404, 500, 503])
def test_a_status_is_an_error_without_a_second_try(server, api, model, code):
    server.faults.append(Fault(r"GET .*model\.safetensors", "status", status=code))
    with pytest.raises(HfHubHTTPError, match="a fault of the test") as error:
        api.hf_hub_download(model, "model.safetensors")
    assert (status(error), server.faults[0].seen) == (code, 1)
    assert read(api, model, "model.safetensors") == WEIGHTS


def test_a_client_that_is_told_to_wait_comes_again(server, api, model):
    server.faults.append(Fault(r"GET .*model\.safetensors", "status", status=429))
    assert read(api, model, "model.safetensors") == WEIGHTS
    assert server.faults[0].seen == 2


def test_a_status_may_say_what_is_missing(server, api, model):
    server.faults.append(Fault("HEAD", "status", status=404, code="EntryNotFound"))
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download(model, "config.json")


def test_the_cache_is_what_a_client_falls_back_on(server, api, model):
    path = api.hf_hub_download(model, "config.json")
    server.publish(model, {"config.json": b"{}"})
    server.faults.append(Fault("HEAD", "status", status=503))
    assert api.hf_hub_download(model, "config.json") == path
    assert read(api, model, "config.json") == b"{}"


def test_a_download_that_is_cut_goes_on_where_it_was(server, api):
    # The client keeps what it receives in pieces of 10 MiB, and goes on after the last whole one.
    large = WEIGHTS * 55
    piece = 10 * 2**20
    server.publish("org/large", {"model.safetensors": large})
    server.faults.append(Fault(r"GET .*model\.safetensors", "cut", at=piece + 1000))
    assert read(api, "org/large", "model.safetensors") == large
    ranges = [call.headers.get("range") for call in server.calls("GET /storage")]
    assert ranges == [None, f"bytes={piece}-"]


def test_a_download_over_a_network_that_fails_ends(server, api, model):
    server.faults.append(Fault(r"GET .*model\.safetensors", "reset", at=1000))
    with pytest.raises(HTTPError):
        api.hf_hub_download(model, "model.safetensors")
    assert server.faults[0].seen == 1


@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
def test_a_shorter_file_is_noticed(server, api, model, path):
    server.faults.append(Fault(f"GET .*{path}", "truncate", at=1))
    with pytest.raises(OSError, match="Consistency check failed"):
        api.hf_hub_download(model, path)


@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
def test_a_changed_file_of_the_same_size_is_not_noticed(server, api, model, path):
    server.faults.append(Fault(f"GET .*{path}", "corrupt", at=5))
    data = bytearray(FILES[path])
    data[5] ^= 1
    assert read(api, model, path) == bytes(data)
    assert read(api, model, path) == bytes(data)  # for good: it is in the cache under the hash of the true file


@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
def test_a_wrong_hash_is_not_noticed(server, api, model, path):
    server.faults.append(Fault(f"HEAD .*{path}", "wrong_hash"))
    stored = Path(api.hf_hub_download(model, path)).resolve()
    assert stored.read_bytes() == FILES[path]
    other = hashlib.sha256(b"something else").hexdigest()
    assert other.startswith(stored.name)


def test_a_slow_answer_takes_longer_than_a_client_waits(server, api, model):
    server.faults += [Fault("GET /api", "slow", seconds=0.3), Fault("GET /storage", "slow", at=100_000, seconds=0.05)]
    with pytest.raises(HTTPError, match="timed out"):
        api.model_info(model, timeout=0.1)
    assert api.model_info(model)
    assert read(api, model, "model.safetensors") == WEIGHTS  # in three parts
    assert server.faults[1].seen == 1


@pytest.mark.parametrize("kind", ["hang up", "lost"])
def test_a_connection_that_closes_has_done_what_was_asked_or_not(server, api, model, kind):
    server.faults.append(Fault("POST .*/tag/", kind))
    with pytest.raises(HTTPError):
        api.create_tag(model, tag="v2")
    assert ("v2" in server.repositories[model].tags) == (kind == "lost")


def test_an_upload_that_is_cut_is_repeated(server, api, model):
    server.faults.append(Fault("PUT", "cut", at=1000))
    api.upload_file(repo_id=model, path_or_fileobj=WEIGHTS[::-1], path_in_repo="other.npz")
    assert read(api, model, "other.npz") == WEIGHTS[::-1]
    assert len(server.calls("PUT")) == 2


def test_an_upload_that_is_changed_is_refused(server, api, model):
    commit = api.model_info(model).sha
    server.faults.append(Fault("PUT", "corrupt", at=1000))
    with pytest.raises(RuntimeError, match="Error while uploading") as error:
        api.upload_file(repo_id=model, path_or_fileobj=WEIGHTS[::-1], path_in_repo="other.npz")
    assert "BadDigest" in str(error.value.__cause__)
    assert api.model_info(model).sha == commit


def test_a_fault_strikes_as_often_as_it_says(server, api, model):
    server.faults.append(Fault("GET /api/models/", "status", status=403, after=1, times=2))
    assert [api.repo_exists(model)] == [True]
    for _ in range(2):
        with pytest.raises(HfHubHTTPError, match="403"):
            api.model_info(model)
    assert [api.repo_exists(model), server.faults[0].seen] == [True, 4]
    with pytest.raises(ValueError, match=r"^kind must be one of status, hang up, .*; got 'explode'.$"):
        Fault("GET", "explode")
