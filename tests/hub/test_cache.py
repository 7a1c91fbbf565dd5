"""What the cache of the Hub's files has is used without the Hub, and is whole, or made whole, before it is loaded."""

from __future__ import annotations

import inspect

import pytest
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.utils import tqdm as Bar

from eqmodels import load
from eqmodels.storage import LARGEST
from tests.hub.networks import REPOSITORY, TOKENS, assert_is_network, network, refuses
from tests.hub_server import HubServer, run_client

SOURCE = f"hub:{REPOSITORY}"
FILES = ["config.json", "model.safetensors"]


@pytest.fixture
def server(tmp_path):
    """A Hub with one network, and this process as its client."""
    with HubServer(TOKENS) as hub, hub.client(tmp_path / "home"):
        hub.publish(REPOSITORY, network(), tag="v1")
        yield hub


def cached(tmp_path, name):
    """The path of the one file of this name in the cache."""
    (path,) = (tmp_path / "home").rglob(f"snapshots/*/{name}")
    return path


def test_a_second_load_asks_for_no_file_and_a_pinned_one_nothing(server):
    load(SOURCE)
    fetched, commit = len(server.calls("GET ")), server.repositories[REPOSITORY].branches["main"]
    assert_is_network(load(SOURCE))
    assert len(server.calls("GET ")) == fetched
    before = len(server.requests)
    assert_is_network(load(f"{SOURCE}@{commit}"))
    assert len(server.requests) == before
    assert_is_network(load(SOURCE, force_download=True))
    assert len(server.calls("GET ")) == 2 * fetched


DAMAGE = {
    "a bit": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "the end": lambda content: content[:-9],
    "everything": lambda content: b"",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_entry_is_fetched_once_more(server, tmp_path, name, damage):
    load(SOURCE)
    path, fetched = cached(tmp_path, name), len(server.calls("GET "))
    path.write_bytes(DAMAGE[damage](network()[name]))
    assert_is_network(load(SOURCE))
    assert path.read_bytes() == network()[name]
    assert {call.path.split("?")[0].rsplit("/", 1)[1] for call in server.calls("GET ")[fetched:]} == {name}


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_cache_entry_that_cannot_be_fetched_again_is_named(server, tmp_path, name):
    load(SOURCE)
    path = cached(tmp_path, name)
    path.write_bytes(b"damaged")
    words = refuses(f"/{name} is damaged, and could not be fetched again: ", load, SOURCE, local_files_only=True)
    assert str(path) in words
    server.stop()
    assert str(path) in refuses(f"/{name} is damaged, and could not be fetched again: ", load, SOURCE)


@pytest.mark.parametrize("revision", ["", "@v1", "@commit"])
def test_a_cache_works_without_the_hub(server, revision):
    source = SOURCE + revision.replace("commit", server.repositories[REPOSITORY].branches["main"])
    load(source)
    before = len(server.requests)
    assert_is_network(load(source, local_files_only=True))
    assert len(server.requests) == before
    server.stop()
    assert_is_network(load(source))
    assert_is_network(load(source, local_files_only=True))


def test_what_the_cache_does_not_have_needs_the_hub(server):
    sentence = "^config.json of org/network@main is not in the cache, and the Hub cannot be reached"
    refuses(sentence, load, SOURCE, local_files_only=True)
    assert server.requests == []
    load(SOURCE)
    sentence = "^config.json of org/network@v1 is not in the cache, .* eqmodels download hub:org/network@v1$"
    refuses(sentence, load, f"{SOURCE}@v1", local_files_only=True)


def test_an_offline_process_needs_the_cache_alone(server, tmp_path):
    """HF_HUB_OFFLINE, which the client reads when it is imported."""
    load(SOURCE)
    before = len(server.requests)
    code = f"""
        import eqmodels
        encoder = eqmodels.load({SOURCE!r})
        print(float(encoder.stem.conv.weight.detach().double().sum()))
        try:
            eqmodels.load("hub:org/other")
        except eqmodels.EqmodelsError as error:
            print(error)
    """
    ended = run_client(code, {**server.environment(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}, timeout=120)
    assert ended.returncode == 0, ended.stderr
    total, sentence = ended.stdout.splitlines()
    assert float(total) == float(load(SOURCE).stem.conv.weight.detach().double().sum())
    assert sentence.startswith("config.json of org/other@main is not in the cache, and the Hub cannot be reached")
    assert {call.method for call in server.requests[before:]} == {"HEAD"}  # of this process, just now


# Caches without links, and links that lead elsewhere.


@pytest.fixture
def unlinked(monkeypatch):
    """A system without symbolic links: the client keeps the files themselves in the folders of the commits."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_SYMLINKS", True)


def other_loss(content: bytes) -> bytes:
    """The config with another number in its log: no rule is broken, and no feature tells of it."""
    assert content.count(b'"loss": 1.25') == 1
    return content.replace(b'"loss": 1.25', b'"loss": 1.35')


@pytest.mark.parametrize(("name", "damage"), [("config.json", other_loss), ("model.safetensors", DAMAGE["a bit"])])
def test_a_damaged_file_of_a_cache_without_links_is_fetched_once_more(server, tmp_path, unlinked, name, damage):
    load(SOURCE)
    path, fetched = cached(tmp_path, name), len(server.calls("GET "))
    assert not path.is_symlink()
    for source in (SOURCE, f"{SOURCE}@{path.parent.name}"):
        path.write_bytes(damage(network()[name]))
        assert_is_network(load(source))
        assert path.read_bytes() == network()[name]
        assert not path.is_symlink()
    assert {call.path.split("?")[0].rsplit("/", 1)[1] for call in server.calls("GET ")[fetched:]} == {name}


def test_a_cache_without_links_is_used_without_the_hub_and_its_damaged_weights_are_named(server, tmp_path, unlinked):
    load(SOURCE)
    fetched = len(server.calls("GET "))
    assert_is_network(load(SOURCE))
    assert len(server.calls("GET ")) == fetched
    server.stop()
    assert_is_network(load(SOURCE))
    cached(tmp_path, "model.safetensors").write_bytes(DAMAGE["a bit"](network()["model.safetensors"]))
    for options in ({}, {"local_files_only": True}):
        refuses("model.safetensors is damaged or of another network: its sha256", load, SOURCE, **options)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("force", [False, True])
def test_a_link_to_another_whole_file_is_led_back(server, tmp_path, name, force):
    load(SOURCE)
    path = cached(tmp_path, name)
    other = server.publish(REPOSITORY, network(seed=1))
    load(SOURCE)
    wrong = (path.parent.with_name(other) / name).readlink()
    path.unlink()
    path.symlink_to(wrong)
    assert_is_network(load(f"{SOURCE}@v1", force_download=force))
    assert path.read_bytes() == network()[name]
    assert_is_network(load(SOURCE), seed=1)


def test_what_is_fetched_by_force_is_compared_with_the_hub_and_links_to_others_are_replaced(server, tmp_path):
    """Two files that belong together, and have the hashes that they are kept under, but are those of another commit."""
    load(SOURCE)
    paths = [cached(tmp_path, name) for name in FILES]
    other = server.publish(REPOSITORY, network(seed=1))
    load(SOURCE)
    for path in paths:
        wrong = (path.parent.with_name(other) / path.name).readlink()
        path.unlink()
        path.symlink_to(wrong)
    assert_is_network(load(f"{SOURCE}@v1"), seed=1)  # nobody was asked
    assert_is_network(load(f"{SOURCE}@v1", force_download=True))
    assert [path.read_bytes() for path in paths] == [network()[name] for name in FILES]
    assert_is_network(load(f"{SOURCE}@v1"))
    assert_is_network(load(SOURCE), seed=1)


@pytest.mark.skipif(
    "tqdm_class" not in inspect.signature(hf_hub_download).parameters, reason="this client takes no bar of others"
)
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("force", [False, True])
def test_a_download_ends_at_its_announced_size(server, tmp_path, monkeypatch, name, force):
    """Of weights the announced one, of a config what can be read; more is sent in the place of both."""
    largest = []
    files = server.repositories[REPOSITORY].find("main").files
    server.storage.blobs[files[name].oid] = bytes(50 * 2**20)

    class Counted(Bar):
        def update(self, n=1):
            largest.append(n)
            return super().update(n)

    monkeypatch.setattr("eqmodels.remote.bounded.tqdm", Counted)
    most = files[name].size if name == "model.safetensors" else LARGEST
    sentence = f"^{name} of .* could not be fetched .* more bytes arrive than the {most} that were announced"
    refuses(sentence, load, SOURCE, force_download=force)
    assert sum(largest) <= most
    assert not [file for file in (tmp_path / "home").rglob("*") if file.is_file() and file.stat().st_size > most]


def test_a_file_that_repositories_share_is_whole_under_its_other_name(server, tmp_path):
    """Newer clients keep one file for all repositories, under a hash of another kind, and lead their links to it."""
    load(SOURCE)
    path, before = cached(tmp_path, "model.safetensors"), len(server.requests)
    blob, shared = path.resolve(), tmp_path / "home" / "hub" / "blobs" / "ab" / f"{'ab' * 32}"
    shared.parent.mkdir(parents=True)
    blob.rename(shared)
    blob.symlink_to(shared)
    assert_is_network(load(f"{SOURCE}@{path.parent.name}"))
    assert len(server.requests) == before
    shared.write_bytes(DAMAGE["a bit"](shared.read_bytes()))
    assert_is_network(load(f"{SOURCE}@{path.parent.name}"))
    assert not blob.is_symlink()  # what others share is left alone


def test_nothing_is_left_beside_the_cache(server, tmp_path):
    load(SOURCE)
    path = cached(tmp_path, "config.json")
    path.write_bytes(b"damaged")
    load(SOURCE)
    assert sorted(file.name for file in path.parents[2].iterdir() if "eqmodels" in file.name) == []
