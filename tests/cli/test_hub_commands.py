"""``eqmodels publish``, ``verify`` and ``download``: what they print, and their exit status."""

from __future__ import annotations

import json

import pytest

from eqmodels import load
from eqmodels.cli import main
from tests.hub.networks import (
    NAME,
    REPOSITORY,
    TOKEN,
    TOKENS,
    assert_is_network,
    make_zoo,
    network,
    prepare,
    publication,
    write,
)
from tests.hub_server import HubServer

SOURCE = f"hub:{REPOSITORY}"


@pytest.fixture
def server(tmp_path):
    """A Hub with the network, and this process as a client that may write."""
    with HubServer(TOKENS) as hub, hub.client(tmp_path / "home", TOKEN):
        hub.publish(REPOSITORY, publication(), tag="v1")
        yield hub


@pytest.fixture
def folder(tmp_path):
    return make_zoo(tmp_path / "zoo")


def fails(capsys, status, *arguments):
    """Asserts that a command ends with this status and one line on standard error, and gives the line."""
    assert main(list(arguments)) == status
    captured = capsys.readouterr()
    assert captured.err.startswith("eqmodels: ")
    assert captured.err.count("\n") == 1
    assert TOKEN not in captured.out + captured.err
    return captured.err


# publish


@pytest.fixture
def prepared(monkeypatch):
    """Where the files are not what is tested."""
    prepare(monkeypatch)


@pytest.mark.usefixtures("prepared")
def test_publish_prints_the_commit_the_hashes_and_the_line_for_the_index(capsys, server, folder):
    assert main(["publish", str(folder), "--repo", "org/new"]) == 0
    out = capsys.readouterr().out
    commit = server.repositories["org/new"].branches["main"]
    assert f"published org/new at {commit}, tag weights-" in out
    entry = json.loads(out.splitlines()[-1])
    assert (entry["repository"], entry["commit"], entry["name"]) == ("org/new", commit, NAME)
    assert entry["sha256"] in out.split("\n\n")[0]
    assert main(["publish", str(folder), "--repo", "org/new"]) == 0
    assert f"nothing changed: org/new stays at {commit}" in capsys.readouterr().out
    assert len(server.repositories["org/new"].history("main")) == 2


@pytest.mark.usefixtures("prepared")
def test_publish_prints_json(capsys, server, folder):
    for changed in (True, False):
        assert main(["publish", str(folder), "--repo", "org/new", "--private", "--json"]) == 0
        content = json.loads(capsys.readouterr().out)
        assert content["changed"] == changed
        assert content["entry"]["commit"] == server.repositories["org/new"].branches["main"]
        assert content["tag"] == f"weights-{content['entry']['sha256'][:12]}"
        assert set(content["files"]) == set(publication())
    assert server.repositories["org/new"].private


@pytest.mark.usefixtures("prepared")
def test_a_dry_run_of_publish_sends_nothing(capsys, server, folder):
    assert main(["publish", str(folder), "--repo", "org/new", "--dry-run"]) == 0
    assert "dry run, nothing was sent: org/new would get these files in one commit, tag" in capsys.readouterr().out
    assert main(["publish", str(folder), "--repo", "org/new", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["entry"]["commit"] is None
    assert server.requests == []


def test_publish_that_fails_is_one_line_on_standard_error(capsys, server, folder, tmp_path):
    assert "a repository of the Hub is named" in fails(capsys, 2, "publish", str(folder), "--repo", "new")
    assert "--repo" in fails(capsys, 2, "publish", str(folder))
    assert "is neither the folder of a run" in fails(capsys, 2, "publish", str(tmp_path / "none"), "--repo", "org/new")
    (folder / "results.json").unlink()
    assert "holds no results" in fails(capsys, 1, "publish", str(folder), "--repo", "org/new")
    assert server.requests == []


@pytest.mark.usefixtures("prepared")
def test_publish_without_a_right_is_one_line_on_standard_error(capsys, server, folder, tmp_path):
    with server.client(tmp_path / "other", "hf_reader"):
        line = fails(capsys, 1, "publish", str(folder), "--repo", "org/new")
    assert "the Hub refuses to write org/new (403" in line
    assert "hf_reader" not in line


# verify


CHECKS = ["files", "config", "index", "header", "weights", "golden output", "results", "equivariance"]


def test_verify_names_every_check_and_is_0_if_all_passed(capsys, server, folder):
    for source in (str(folder), SOURCE, f"{SOURCE}@v1"):
        assert main(["verify", source]) == 0
        lines = capsys.readouterr().out.split("\n\n")[0].splitlines()
        assert [line.partition(":")[0].split(maxsplit=1) for line in lines] == [["ok", name] for name in CHECKS]
    assert "of these weights, on 24 images of photos" in "\n".join(_verified(capsys, folder))


def _verified(capsys, source):
    assert main(["verify", str(source), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["passed"]
    assert content["equivariance"]["group"] == "c4"
    return [check["found"] for check in content["checks"]]


def test_verify_knows_the_zoo(capsys):
    found = _verified(capsys, "c4_resnet18_w16.rot_fmnist_simclr")
    assert found[2] == "size and sha256 are those of the zoo's index"


def another_feature(content: bytes) -> bytes:
    """The config with one of the stored features changed."""
    config = json.loads(content)
    config["golden"]["features"][0] += 1
    return json.dumps(config).encode()


WRONG = {
    "files": {"model.safetensors": None, "config.json": None, "pytorch_model.bin": lambda _: b""},
    "config": {"config.json": lambda _: b"{}"},
    "header": {"model.safetensors": lambda _: b"nonsense"},
    "weights": {"model.safetensors": lambda content: content[:-1] + b"?"},
    "golden output": {"config.json": another_feature},
    "results": {"results.json": lambda _: b"{}"},
}


@pytest.mark.parametrize("check", WRONG)
def test_verify_is_1_at_the_first_check_that_fails_and_says_why(capsys, tmp_path, check):
    folder = write(tmp_path / "run", network())
    for name, change in WRONG[check].items():
        if change is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(change(network().get(name)))
    assert main(["verify", str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    before = CHECKS[: CHECKS.index(check)]
    assert [line.partition(":")[0].split(maxsplit=1) for line in lines] == [
        *(["ok", name] for name in before),
        ["FAILED", check],
    ]
    assert main(["verify", str(folder), "--json"]) == 1
    assert not json.loads(capsys.readouterr().out)["passed"]


def test_verify_of_what_is_not_there_is_told_from_what_is_wrong(capsys, server):
    assert "is neither the folder of a run nor a pretrained network" in fails(capsys, 2, "verify", "nothing")
    assert "a repository of the Hub is named" in fails(capsys, 2, "verify", "hub:x/y/z")
    assert main(["verify", "hub:org/none"]) == 1
    assert capsys.readouterr().out.startswith("FAILED files: there is no repository org/none on the Hub")


# download


def test_download_fills_the_cache_from_which_all_loads_without_the_hub(capsys, server, tmp_path):
    commit = server.repositories[REPOSITORY].branches["main"]
    assert main(["download", SOURCE, f"{SOURCE}@v1", f"{SOURCE}@{commit}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [SOURCE, f"{SOURCE}@v1", f"{SOURCE}@{commit}"]
    assert all(str(tmp_path / "home") in line and commit in line for line in lines)
    server.stop()
    for source in (SOURCE, f"{SOURCE}@v1", f"{SOURCE}@{commit}"):
        assert_is_network(load(source, local_files_only=True))
    assert main(["download", f"{SOURCE}@{commit}", "--json"]) == 0
    folders = json.loads(capsys.readouterr().out)
    assert_is_network(load(folders[f"{SOURCE}@{commit}"]))


def test_download_checks_what_it_fetched(capsys, server):
    server.publish(REPOSITORY, {"model.safetensors": b"nonsense"})
    assert "is no whole safetensors file" in fails(capsys, 1, "download", SOURCE)
    assert "there is no repository org/none" in fails(capsys, 1, "download", "hub:org/none")
    assert "no pretrained model matches 'q*'" in fails(capsys, 2, "download", "q*")


def test_download_of_what_the_installation_has_checks_it_without_a_request(capsys, server):
    assert main(["download", "c4_resnet18_w16.*"]) == 0
    assert capsys.readouterr().out.startswith("c4_resnet18_w16.rot_fmnist_simclr: ")
    assert server.requests == []
