"""The Hub of the tests does what the real client expects of the real one."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, get_hf_file_metadata, get_session, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.hub.models import CARD, FILES, WEIGHTS, read, status
from tests.hub.networks import TOKEN
from tests.hub_server import HubServer, run_client


@pytest.fixture
def folder(tmp_path):
    for path, data in FILES.items():
        (tmp_path / "folder" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / path).write_bytes(data)
    return tmp_path / "folder"


# Publishing and reading back.


def test_a_folder_becomes_one_commit_that_can_be_read_back(server, api, folder):
    assert api.create_repo("org/model").repo_id == "org/model"
    commit = api.upload_folder(repo_id="org/model", folder_path=folder, commit_message="first")
    api.create_tag("org/model", tag="v1")
    assert re.fullmatch("[0-9a-f]{40}", commit.oid)
    assert [one.title for one in api.list_repo_commits("org/model")] == ["first", "initial commit"]
    assert sorted(api.list_repo_files("org/model")) == sorted([*FILES, ".gitattributes"])
    refs = api.list_repo_refs("org/model")
    assert [(ref.name, ref.target_commit) for ref in refs.branches + refs.tags] == [
        ("main", commit.oid),
        ("v1", commit.oid),
    ]
    for revision in ("main", "v1", commit.oid, commit.oid[:7]):
        assert {path: read(api, "org/model", path, revision=revision) for path in FILES} == FILES
    snapshot = Path(api.snapshot_download("org/model", revision="v1"))
    assert {path: (snapshot / path).read_bytes() for path in FILES} == FILES
    assert snapshot.name == commit.oid == server.repositories["org/model"].branches["main"]


def test_a_model_says_what_it_is(api, model):
    info = api.model_info(model, revision="v1", files_metadata=True)
    sizes = {file.rfilename: file.size for file in info.siblings if file.rfilename != ".gitattributes"}
    assert sizes == {path: len(data) for path, data in FILES.items()}
    (large,) = [file for file in info.siblings if file.lfs]
    assert (large.rfilename, large.lfs.sha256) == ("model.safetensors", hashlib.sha256(WEIGHTS).hexdigest())
    assert info.tags == ["equivariance", "eqmodels", "license:mit"]
    assert (info.library_name, info.card_data.license, info.private) == ("eqmodels", "mit", False)
    assert [item.path for item in api.list_repo_tree(model, "runs")] == ["runs/log.csv"]
    assert "runs" in [item.path for item in api.list_repo_tree(model)]


def test_a_large_file_is_known_by_its_sha256_and_another_by_its_git_hash(api, model):
    small = hashlib.sha1(b"blob %d\0" % len(CARD) + CARD).hexdigest()
    for path, hashed in {"model.safetensors": hashlib.sha256(WEIGHTS).hexdigest(), "README.md": small}.items():
        metadata = get_hf_file_metadata(hf_hub_url(model, path, endpoint=api.endpoint))
        assert (metadata.etag, metadata.size) == (hashed, len(FILES[path]))
        assert metadata.commit_hash == api.model_info(model).sha
        assert Path(api.hf_hub_download(model, path)).resolve().name == hashed


def test_a_token_is_in_headers_only_and_never_goes_to_the_storage(server, api, folder):
    api.create_repo("org/model", private=True)
    api.upload_folder(repo_id="org/model", folder_path=folder)
    assert read(api, "org/model", "model.safetensors") == WEIGHTS
    assert len(server.calls("^(PUT|GET) /storage/")) == 2
    for call in server.requests:
        assert TOKEN not in call.path
        expected = None if call.path.startswith("/storage/") else f"Bearer {TOKEN}"
        assert call.headers.get("authorization") == expected


def test_the_same_content_is_no_new_commit(server, api, folder):
    api.create_repo("org/model")
    first = api.upload_folder(repo_id="org/model", folder_path=folder)
    before = len(server.requests)
    again = api.upload_folder(repo_id="org/model", folder_path=folder, commit_message="again")
    assert first.oid == again.oid == server.publish("org/model", FILES)
    assert not [call for call in server.requests[before:] if call.method == "PUT" or "/commit/" in call.path]
    (folder / "config.json").write_text("{}")
    assert api.upload_folder(repo_id="org/model", folder_path=folder).oid != first.oid


def test_commits_are_the_same_in_every_run_and_follow_their_parent(server):
    assert server.publish("org/one", FILES) == server.publish("org/two", FILES)
    assert server.publish("org/one", {"a": b"1"}) != server.publish("org/two", {"a": b"2"})
    assert server.publish("org/one", {"b": b""}) != server.publish("org/two", {"a": b"1", "b": b""})


def test_files_are_deleted_and_a_commit_has_the_parent_it_wants(api, model):
    stale = api.model_info(model).sha
    operations = [CommitOperationDelete("runs/"), CommitOperationDelete("config.json")]
    api.create_commit(model, operations, commit_message="less", parent_commit=stale)
    assert sorted(api.list_repo_files(model)) == [".gitattributes", "README.md", "model.safetensors"]
    with pytest.raises(HfHubHTTPError, match="A commit has happened since") as error:
        api.create_commit(model, [CommitOperationAdd("a", b"a")], commit_message="late", parent_commit=stale)
    assert status(error) == 412
    with pytest.raises(EntryNotFoundError, match=r"doesn't exist: config\.json"):
        api.create_commit(model, operations[1:], commit_message="twice")


def test_a_pinned_revision_stays_where_a_tag_and_a_branch_move(server, api, model):
    old = api.model_info(model).sha
    new = server.publish(model, {"config.json": b"{}"})
    assert [read(api, model, "config.json", revision=name) for name in ("main", "v1")] == [b"{}", FILES["config.json"]]
    server.move_tag(model, "v1", new)
    assert read(api, model, "config.json", revision="v1") == b"{}"
    assert read(api, model, "config.json", revision=old) == FILES["config.json"]
    api.create_branch(model, branch="old", revision=old)
    assert read(api, model, "config.json", revision="old") == FILES["config.json"]
    api.delete_tag(model, tag="v1")
    assert not api.revision_exists(model, "v1")


def test_what_exists_already_is_a_conflict(api, model):
    for create in (lambda: api.create_repo(model), lambda: api.create_tag(model, tag="v1")):
        with pytest.raises(HfHubHTTPError, match="already") as error:
            create()
        assert status(error) == 409
    assert api.create_repo(model, exist_ok=True).repo_id == model
    api.create_tag(model, tag="v1", exist_ok=True)


def test_a_card_is_read_as_the_real_hub_reads_it(api, model):
    with pytest.warns(UserWarning, match="empty or missing yaml metadata"):
        api.upload_file(repo_id=model, path_or_fileobj=b"# No metadata", path_in_repo="README.md")
    with pytest.raises(ValueError, match=r"Invalid metadata in README\.md"):
        api.upload_file(repo_id=model, path_or_fileobj=b"---\na: [\n---\n", path_in_repo="README.md")


def test_only_a_large_file_that_came_whole_is_verified_and_committed(server, api, model):
    oid = hashlib.sha256(b"never uploaded").hexdigest()
    address, headers = f"{server.url}/{model}.git/info/lfs/objects/verify", {"authorization": f"Bearer {TOKEN}"}
    answers = [
        get_session().post(address, json={"oid": name, "size": size}, headers=headers).status_code
        for name, size in ((oid, 14), (hashlib.sha256(WEIGHTS).hexdigest(), 1))
    ]
    assert answers == [404, 400]
    lines = [
        {"key": "header", "value": {"summary": "no"}},
        {"key": "lfsFile", "value": {"path": "a", "oid": oid, "size": 14}},
    ]
    content = "\n".join(json.dumps(line) for line in lines)
    answer = get_session().post(f"{server.url}/api/models/{model}/commit/main", content=content, headers=headers)
    assert answer.status_code == 400
    assert "a file that does not exist" in answer.text


# Who may do what, and what there is.


def test_a_private_model_is_there_for_its_owner_only(server, api, tmp_path):
    server.publish("org/private", FILES, private=True)
    assert read(api, "org/private", "config.json", token="hf_reader") == FILES["config.json"]
    assert api.model_info("org/private", token="hf_reader").private
    for token, expected in {False: 401, "hf_other": 404}.items():
        for path in ("config.json", "model.safetensors"):
            with pytest.raises(RepositoryNotFoundError) as error:
                read(api, "org/private", path, token=token, cache_dir=tmp_path / "empty")
            assert status(error) == expected
        assert not api.repo_exists("org/private", token=token)
        assert [one.id for one in api.list_models(token=token)] == []


def test_a_token_that_is_not_known_is_refused_even_for_what_is_public(api, model):
    with pytest.raises(HfHubHTTPError, match="Invalid user token") as error:
        api.whoami(token="hf_wrong")
    assert status(error) == 401
    with pytest.raises(HfHubHTTPError, match="Invalid credentials") as error:
        read(api, model, "config.json", token="hf_wrong")
    assert not isinstance(error.value, RepositoryNotFoundError)
    assert read(api, model, "config.json", token=False) == FILES["config.json"]


def test_who_may_not_write_is_told_so(api, model):
    assert api.whoami()["auth"]["accessToken"]["role"] == "write"
    assert api.whoami(token="hf_reader")["auth"]["accessToken"]["role"] == "read"
    for token in ("hf_reader", "hf_other"):
        for write in (
            lambda token: api.create_repo("org/new", token=token),
            lambda token: api.upload_file(repo_id=model, path_or_fileobj=b"", path_in_repo="a", token=token),
            lambda token: api.create_tag(model, tag="v2", token=token),
            lambda token: api.delete_repo(model, token=token),
        ):
            with pytest.raises(HfHubHTTPError, match="403 Forbidden") as error:
                write(token)
            assert status(error) == 403
    with pytest.raises(HfHubHTTPError) as error:
        api.create_tag(model, tag="v2", token=False)
    assert status(error) == 401


def test_what_is_missing_has_its_class_of_error(api, model):
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("org/none")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(model, revision="v9")
    with pytest.raises(RevisionNotFoundError):
        api.create_tag(model, tag="v2", revision="none")
    for path, revision, error in (("none", "main", EntryNotFoundError), ("config.json", "v9", RevisionNotFoundError)):
        with pytest.raises(error):
            api.hf_hub_download(model, path, revision=revision)
    assert [api.file_exists(model, path) for path in ("config.json", "model.safetensors", "none")] == [
        True,
        True,
        False,
    ]


def test_models_are_listed_by_author_name_and_tag(server, api, model):
    server.publish("org/plain", {"config.json": b"{}"})
    server.publish("other/model", FILES)

    def listed(**options):
        return [one.id for one in api.list_models(**options)]

    assert listed() == ["org/model", "org/plain", "other/model"]
    assert listed(author="org") == ["org/model", "org/plain"]
    assert listed(search="MODEL", limit=1) == ["org/model"]
    assert listed(filter=["equivariance", "eqmodels"], author="other") == ["other/model"]
    assert next(iter(api.list_models(full=True))).sha == api.model_info(model).sha
    api.delete_repo(model)
    assert listed(author="org") == ["org/plain"]


# Processes and the server's own end.


def test_another_process_has_its_own_cache_and_knows_no_proxy(server, model, tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    code = """
        from huggingface_hub import create_repo, hf_hub_download, upload_file
        create_repo("org/new", private=True)
        print(upload_file(repo_id="org/new", path_or_fileobj=b"weights", path_in_repo="a.safetensors").oid)
        print(hf_hub_download("org/new", "a.safetensors"))
        hf_hub_download("org/none", "a")
    """
    ended = run_client(code, server.environment(tmp_path / "home", token=TOKEN))
    commit, path = ended.stdout.split()
    assert (ended.returncode, commit) == (1, server.repositories["org/new"].branches["main"])
    assert "RepositoryNotFoundError: 404" in ended.stderr
    assert Path(path).read_bytes() == b"weights"
    assert Path(path).is_relative_to(tmp_path / "home")
    with server.client(tmp_path / "here") as anonymous:
        assert read(anonymous, model, "config.json") == FILES["config.json"]


def test_after_its_end_there_is_only_the_cache(tmp_path):
    with HubServer() as server, server.client(tmp_path) as api:
        server.publish("org/model", FILES, tag="v1")
        path = api.hf_hub_download("org/model", "model.safetensors", revision="v1")
        server.__exit__(None)
        assert api.hf_hub_download("org/model", "model.safetensors", revision="v1") == path
        with pytest.raises(LocalEntryNotFoundError):
            api.hf_hub_download("org/model", "config.json", local_files_only=True)


def test_a_bug_of_the_server_does_not_pass(tmp_path):
    server = HubServer()
    with server, server.client(tmp_path) as api:
        server.repositories["org/broken"] = 5
        with pytest.raises(HTTPError):
            api.model_info("org/broken")
        with pytest.raises(AssertionError, match=r"^the Hub of the tests has a bug:"):
            server.__exit__(None)
        server.errors.clear()
