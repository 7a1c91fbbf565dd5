"""``eqmodels publish``, ``verify`` and ``download``: what they print, and their exit status."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from eqmodels import load
from eqmodels.cli import main
from eqmodels.hub import entry_of
from tests.hub.networks import (
    NAME,
    PUBLISHING,
    REPOSITORY,
    TOKEN,
    TOKENS,
    assert_is_network,
    make_zoo,
    network,
    prepare,
    publication,
    rewrite,
    write,
)
from tests.hub_server import HubServer

SOURCE = f"hub:{REPOSITORY}"
SOURCES = import_module("eqmodels.remote.locating")


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
    assert out.startswith(f"licence of the weights: {entry['license']}\n\n")
    assert entry["sha256"] in out.split("\n\n")[1]
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


def test_a_dry_run_shows_the_card_as_it_will_be_under_another_licence(capsys, server, folder, monkeypatch):
    monkeypatch.setattr(PUBLISHING, "verify", lambda _: SimpleNamespace(passed=True))
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    command = ["publish", str(folder), "--repo", "org/new", "--dry-run"]
    assert main([*command, "--open", "--licence", "CC-BY-4.0"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("licence of the weights: cc-by-4.0\n")
    page = Path(captured.err.removeprefix("the card, as it will be: ").rstrip("\n"))
    text = page.read_text(encoding="utf-8")
    shutil.rmtree(page.parent)
    assert opened == [page.as_uri()]
    assert f"<h1>{NAME}</h1>" in text
    assert "<code>cc-by-4.0</code>" in text
    assert 'src="data:image/png;base64,' in text
    assert re.search(r'src="(?!data:)', text) is None
    assert json.loads((folder / "config.json").read_text())["pretrained_cfg"]["license"] == "mit"
    assert "Add --dry-run." in fails(capsys, 2, *command[:-1], "--open")
    assert "--licence must be an SPDX identifier; got 'my own'" in fails(capsys, 2, *command, "--licence", "my own")
    rewrite(folder / "config.json", lambda content: content["pretrained_cfg"].pop("license"))
    assert "does not say under which licence the weights are. Pass --licence, an" in fails(capsys, 1, *command)
    assert server.requests == []


def test_publish_that_fails_is_one_line_on_standard_error(capsys, server, folder, tmp_path):
    assert "a repository of the Hub is named" in fails(capsys, 2, "publish", str(folder), "--repo", "new")
    assert "--repo" in fails(capsys, 2, "publish", str(folder))
    assert "is none. Pass that of a run" in fails(capsys, 2, "publish", str(tmp_path / "none"), "--repo", "org/new")
    (folder / "results.json").unlink()
    assert "holds no results" in fails(capsys, 1, "publish", str(folder), "--repo", "org/new")
    assert server.requests == []


def test_publish_of_a_name_gives_the_folder(capsys, server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "c4_resnet18s_w16.rot_fmnist_simclr"
    line = fails(capsys, 2, "publish", name, "--repo", "org/new")
    assert f"what is published is the path of a folder, and '{tmp_path / name}' is none. Pass " in line
    assert line.endswith(f"zoo/{name}.\n")
    assert fails(capsys, 2, "publish", "nothing", "--repo", "org/new").endswith("such as runs/my_run.\n")


@pytest.mark.usefixtures("prepared")
def test_publish_says_which_commit_the_tag_names(capsys, server, folder):
    """It stays with the commit that brought the weights, if the card alone changes."""
    assert main(["publish", str(folder), "--repo", "org/new", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["tagged"] == first["entry"]["commit"]
    server.publish("org/new", {"README.md": b"another card"})
    assert main(["publish", str(folder), "--repo", "org/new"]) == 0
    commit = server.repositories["org/new"].branches["main"]
    assert commit != first["tagged"]
    assert (
        f"published org/new at {commit}; {first['tag']} names {first['tagged']}, as before" in capsys.readouterr().out
    )


@pytest.mark.usefixtures("prepared")
def test_publish_without_a_right_is_one_line_on_standard_error(capsys, server, folder, tmp_path):
    with server.client(tmp_path / "other", "hf_reader"):
        line = fails(capsys, 1, "publish", str(folder), "--repo", "org/new")
    assert "the Hub refuses to write org/new (403" in line
    assert "hf_reader" not in line


# verify


CHECKS = ["files", "config", "index", "header", "weights", "golden output", "results", "equivariance"]
NO_ENTRY = [["-" if name == "index" else "ok", name] for name in CHECKS]
"""What is printed of the checks of a network that is not in the zoo's index."""


def checks(out: str) -> list[list[str]]:
    """Whether each check passed, and its name."""
    return [line.partition(":")[0].split(maxsplit=1) for line in out.split("\n\n", maxsplit=1)[0].splitlines()]


def test_verify_names_every_check_and_is_0_if_all_passed(capsys, server, folder):
    for source in (str(folder), SOURCE, f"{SOURCE}@v1"):
        assert main(["verify", source]) == 0
        assert checks(capsys.readouterr().out) == NO_ENTRY
    assert "of these weights, on 24 images of photos" in "\n".join(_verified(capsys, folder))


def _verified(capsys, source):
    assert main(["verify", str(source), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["passed"]
    assert content["equivariance"]["group"] == "c4"
    return [check["found"] for check in content["checks"]]


def test_verify_knows_the_zoo(capsys):
    found = _verified(capsys, "c4_resnet18s_w16.rot_fmnist_simclr")
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
    assert checks(capsys.readouterr().out) == [*NO_ENTRY[: CHECKS.index(check)], ["FAILED", check]]
    assert main(["verify", str(folder), "--json"]) == 1
    assert not json.loads(capsys.readouterr().out)["passed"]


def test_verify_looks_at_the_results_of_a_repository(capsys, server):
    server.publish(REPOSITORY, {"results.json": network(seed=1)["results.json"]})
    assert main(["verify", SOURCE]) == 1
    out = capsys.readouterr().out
    assert checks(out)[-1] == ["FAILED", "results"]
    assert "results.json belongs to other weights" in out


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
    assert main(["download", "c4_resnet18s_w16.*"]) == 0
    assert capsys.readouterr().out.startswith("c4_resnet18s_w16.rot_fmnist_simclr: ")
    assert server.requests == []


def test_download_of_a_repository_without_hub_says_how_it_is_named(capsys, server):
    for name in ("org/network", "org/network@v1"):
        assert fails(capsys, 2, "download", name).endswith(f" A repository of the Hub is named hub:{name}.\n")
    assert "hub:" not in fails(capsys, 2, "download", "q*")


def test_download_without_network_does_not_advise_itself_alone(capsys, server):
    server.stop()
    line = fails(capsys, 1, "download", "hub:org/other")
    assert "the Hub cannot be reached" in line
    assert "Fill the cache where there is a network: eqmodels download hub:org/other" in line


def test_download_of_a_pattern_fetches_what_the_index_names(capsys, server, tmp_path, monkeypatch):
    """Of an installation without a zoo: at the commit that the index pins, into the cache."""
    commit = server.repositories[REPOSITORY].branches["main"]
    entries = {
        name: replace(entry_of(make_zoo(tmp_path / "zoo"), REPOSITORY, pinned), name=name)
        for name, pinned in ((NAME, commit), ("c4_resnet18s_w4.later", None))
    }
    monkeypatch.setattr(SOURCES, "FOLDERS", ())
    monkeypatch.setattr(SOURCES, "read_index", lambda: entries)
    server.publish(REPOSITORY, network(seed=1))
    assert main(["download", "c4_*"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{NAME}: {tmp_path / 'home'}")
    assert out.count("\n") == 1  # what is not published yet matches no pattern
    assert commit in out
    server.stop()
    assert_is_network(load(NAME, local_files_only=True))
    assert main(["download", NAME, "--json"]) == 0
    assert_is_network(load(json.loads(capsys.readouterr().out)[NAME]))
