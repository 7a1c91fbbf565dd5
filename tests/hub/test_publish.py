"""What is published is one whole commit, and what is pinned never changes."""

from __future__ import annotations

import json
import shutil
from functools import wraps
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from eqmodels import load
from eqmodels.backbones.resnet import SteerableResNet
from eqmodels.cli import main
from eqmodels.hub import ZooEntry, entry_of, publish
from eqmodels.storage import folder as storage_folder
from tests.hub.networks import (
    NAME,
    NAMES,
    PUBLISHING,
    REPOSITORY,
    TOKEN,
    TWIN,
    assert_is_network,
    features,
    make_zoo,
    network,
    publication,
    refuses,
    write,
)
from tests.hub_server import Fault

# One commit, and a tag.


def test_one_commit_brings_all_files_and_a_tag_names_it(published):
    server, api = published.server, published.api
    first, initial = api.list_repo_commits(REPOSITORY)
    assert (first.title, initial.title) == ("Weights, results and card by eqmodels", "initial commit")
    assert sorted(api.list_repo_files(REPOSITORY)) == [".gitattributes", *NAMES]
    assert len(server.calls("POST .*/commit/")) == 1
    assert not api.model_info(REPOSITORY).private
    (tag,) = api.list_repo_refs(REPOSITORY).tags
    digest = sha256(network()["model.safetensors"]).hexdigest()
    assert (tag.name, tag.target_commit) == (f"weights-{digest[:12]}", first.commit_id)
    for name, content in publication().items():
        assert Path(api.hf_hub_download(REPOSITORY, name)).read_bytes() == content


def test_the_commit_the_hashes_and_the_line_for_the_index_are_printed(published):
    entry = ZooEntry(**json.loads(published.out.splitlines()[-1]))
    commit = published.api.model_info(REPOSITORY).sha
    assert entry == entry_of(published.folder, REPOSITORY, commit)
    assert entry.commit == commit
    assert (entry.name, entry.license, entry.task, entry.group) == (NAME, "mit", "rotation", "c4")
    assert f"published {REPOSITORY} at {commit}, tag weights-{entry.sha256[:12]}" in published.out
    for content in publication().values():
        assert sha256(content).hexdigest() in published.out


@pytest.mark.parametrize("revision", ["", "@main", "tag", "commit", "short commit"])
def test_every_name_of_the_revision_loads_the_same_network(published, revision):
    (tag,) = published.api.list_repo_refs(REPOSITORY).tags
    names = {"tag": f"@{tag.name}", "commit": f"@{tag.target_commit}", "short commit": f"@{tag.target_commit[:8]}"}
    encoder = load(f"hub:{REPOSITORY}{names.get(revision, revision)}")
    assert_is_network(encoder)
    assert torch.equal(features(encoder), features(load(published.folder)))


def test_the_published_network_is_found_among_others(published):
    published.server.publish("org/other", {"README.md": b"---\nlibrary_name: timm\n---\n"})
    found = list(published.api.list_models(filter=["eqmodels", "equivariant", "c4"], full=True))
    assert [one.id for one in found] == [REPOSITORY]
    assert found[0].pipeline_tag == "image-feature-extraction"
    assert [one.id for one in published.api.list_models(author="org", search="net")] == [REPOSITORY]


def test_the_same_files_again_are_no_new_commit(published, capsys):
    before, commit = len(published.server.requests), published.api.model_info(REPOSITORY).sha
    assert main(["publish", str(published.folder), "--repo", REPOSITORY]) == 0
    assert f"nothing changed: {REPOSITORY} stays at {commit}" in capsys.readouterr().out
    assert published.api.model_info(REPOSITORY).sha == commit
    assert len(published.api.list_repo_commits(REPOSITORY)) == 2
    assert not [call for call in published.server.requests[before:] if call.method == "PUT" or "/commit/" in call.path]


def test_a_dry_run_shows_the_same_and_asks_the_hub_nothing(published, capsys):
    before = len(published.server.requests)
    assert main(["publish", str(published.folder), "--repo", REPOSITORY, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert len(published.server.requests) == before
    assert "dry run, nothing was sent" in out
    assert out.split("\n\n")[0] == published.out.split("\n\n")[0]
    entry = json.loads(out.splitlines()[-1])
    assert entry == {**json.loads(published.out.splitlines()[-1]), "commit": None}


def test_the_token_is_in_headers_alone_and_never_goes_to_the_storage(published, capsys):
    assert_is_network(load(f"hub:{REPOSITORY}", force_download=True))
    calls = published.server.requests
    assert {call.headers.get("authorization") for call in calls} == {f"Bearer {TOKEN}", None}
    assert not any("authorization" in call.headers for call in calls if call.path.startswith("/storage/"))
    printed = capsys.readouterr()
    words = [published.out, printed.out, printed.err, *(call.path for call in calls)]
    words += [f"{name}: {value}" for call in calls for name, value in call.headers.items() if name != "authorization"]
    assert not any(TOKEN in word for word in words)
    stored = [file for file in published.place.rglob("*") if file.is_file()]
    assert len(stored) > len(NAMES)
    assert not any(TOKEN.encode() in file.read_bytes() for file in stored)
    assert not any(TOKEN.encode() in blob for blob in published.server.storage.blobs.values())


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f" {TOKEN}", f"{TOKEN}\r\nX-Other: 1", f"{TOKEN}é", ""])
def test_a_token_that_cannot_be_one_is_not_quoted(folder, api, token):
    sentence = "^a token has letters, digits and signs only; the one given .* is not shown here"
    refuses(sentence, publish, folder, REPOSITORY, token=token, error=ValueError)
    refuses(sentence, load, f"hub:{REPOSITORY}", token=token, error=ValueError)


def test_what_the_token_may_not_do_is_said_without_it(folder, server, tmp_path, prepared):
    server.publish("org/there", {"README.md": b""})
    for token, repository in {"hf_reader": REPOSITORY, "hf_other": "org/there", "hf_unknown": REPOSITORY}.items():
        with server.client(tmp_path / "home", token):
            words = refuses(r"^the Hub refuses to write org/\w+ \(40[13]: .* Log in", publish, folder, repository)
        assert token not in words
    with server.client(tmp_path / "home"):
        refuses(r"^the Hub refuses to write org/network \(401: ", publish, folder, REPOSITORY)


# Revisions.


def test_a_new_revision_leaves_a_pinned_load_as_it_was(folder, server, api, tmp_path, prepared):
    first = publish(folder, REPOSITORY)
    second = publish(make_zoo(tmp_path / "new", seed=1), REPOSITORY)
    assert first.changed
    assert second.changed
    assert first.entry.commit != second.entry.commit
    assert [one.commit_id for one in api.list_repo_commits(REPOSITORY)][:2] == [
        second.entry.commit,
        first.entry.commit,
    ]
    for revision in (first.entry.commit, first.tag):
        assert_is_network(load(f"hub:{REPOSITORY}@{revision}"), seed=0)
    for revision in ("main", second.entry.commit, second.tag):
        assert_is_network(load(f"hub:{REPOSITORY}@{revision}"), seed=1)
    assert_is_network(load(f"hub:{REPOSITORY}@{first.entry.commit}", cache_dir=tmp_path / "empty"), seed=0)


def test_a_card_alone_is_a_commit_and_the_tag_stays_with_the_weights(folder, server, api):
    first = publish(folder, REPOSITORY)
    shutil.rmtree(folder.with_name(TWIN))
    second = publish(folder, REPOSITORY)
    assert first.changed
    assert second.changed
    assert first.tag == second.tag
    assert server.repositories[REPOSITORY].tags == {first.tag: first.entry.commit}
    assert first.tagged == second.tagged == first.entry.commit != second.entry.commit
    assert "Its ResNet twin was not measured" in Path(api.hf_hub_download(REPOSITORY, "README.md")).read_text()
    assert len(server.calls("PUT")) == 1  # of the weights, once


def test_a_commit_of_somebody_else_in_between_is_not_overwritten(folder, server, api, prepared):
    server.publish(REPOSITORY, {"README.md": b"of somebody else"})
    made = []

    class Meanwhile(Fault):
        def strikes(self, request):  # of which the server asks before it reads the commit
            if "/commit/" in request and not made:
                made.append(server.publish(REPOSITORY, {"notes.md": b"in between"}))
            return False

    server.faults.append(Meanwhile("", "hang up"))
    refuses(r"^the Hub answered 412 while org/network was being written", publish, folder, REPOSITORY)
    assert server.repositories[REPOSITORY].branches["main"] == made[0]
    assert publish(folder, REPOSITORY).changed
    assert "notes.md" in api.list_repo_files(REPOSITORY)


# What is checked is what is sent.


@pytest.mark.parametrize("moment", ["verify", "publication_files"])
def test_who_writes_into_the_folder_meanwhile_changes_nothing(folder, server, api, monkeypatch, moment):
    """Before or after something was checked, or made of it."""
    step = getattr(PUBLISHING, moment)

    def meanwhile(*arguments):
        write(folder, network(seed=1))
        write(folder.with_name(TWIN), network())
        return step(*arguments)

    monkeypatch.setattr(PUBLISHING, moment, meanwhile)
    published = publish(folder, REPOSITORY)
    files = server.repositories[REPOSITORY].find(published.entry.commit).files
    sent = {path: server.storage.blobs[entry.oid] for path, entry in files.items() if path != ".gitattributes"}
    assert sent == publication()
    assert {name: digest for name, (_, digest) in published.files.items()} == {
        name: sha256(content).hexdigest() for name, content in sent.items()
    }
    assert published.entry.sha256 == published.files["model.safetensors"][1]


# Private repositories.


def test_a_private_network_is_there_for_its_owner_only(folder, server, api, tmp_path, capsys, prepared):
    assert main(["publish", str(folder), "--repo", REPOSITORY, "--private", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert api.model_info(REPOSITORY).private
    for revision in ("", f"@{found['entry']['commit']}", f"@{found['tag']}"):
        source = f"hub:{REPOSITORY}{revision}"
        assert_is_network(load(source, token="hf_reader", cache_dir=tmp_path / "reader"))
        for token in (False, "hf_other"):
            sentence = "^there is no repository org/network on the Hub, or it is private and your token may not read it"
            refuses(sentence, load, source, token=token, cache_dir=tmp_path / "other")
    assert [one.id for one in api.list_models(token=False)] == []
    assert not (tmp_path / "other").exists()


def test_what_is_public_already_does_not_become_less_so_by_a_word(folder, server, api, prepared):
    commit = server.publish(REPOSITORY, {"README.md": b""})
    refuses("^org/network is there already, and public. Nothing", publish, folder, REPOSITORY, private=True)
    assert server.repositories[REPOSITORY].branches["main"] == commit
    assert not server.calls("PUT|POST .*/commit/")


# Each file is read once, and two networks are built.


def test_a_dry_run_reads_each_file_once_and_builds_two_networks(folder, monkeypatch):
    read, built = [], []
    original, init = storage_folder.read_regular, SteerableResNet.__init__

    @wraps(init)
    def counted(self, *arguments, **options):
        init(self, *arguments, **options)
        built.append(next(self.parameters()).device.type)

    monkeypatch.setattr(
        storage_folder, "read_regular", lambda file, *limit: read.append(file) or original(file, *limit)
    )
    monkeypatch.setattr(SteerableResNet, "__init__", counted)
    publish(folder, REPOSITORY, dry_run=True)
    names = ("config.json", "model.safetensors", "results.json")
    assert sorted(map(str, read)) == sorted(
        str(place / name) for place in (folder, folder.with_name(TWIN)) for name in names
    )
    assert built.count("cpu") == 2
