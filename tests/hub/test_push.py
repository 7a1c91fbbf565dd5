"""An encoder of one's own is pushed and comes back, or a sentence says why not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard

from eqmodels import Backbone, create_model, load
from eqmodels.backbones import SteerableResNet
from eqmodels.hub import load_pretrained, publish
from tests.hub.networks import TOKEN, features, refuses
from tests.hub_server import Fault


@pytest.fixture
def encoder(folder):
    return load(folder, num_classes=3)


def test_a_network_that_nobody_licensed_has_a_card_without_a_licence(tmp_path):
    own = create_model("c4_resnet18s_w4")
    own.save_pretrained(tmp_path)
    assert own.license is None
    assert load(tmp_path).license is None
    assert "license" not in (tmp_path / "README.md").read_text()


def test_a_fine_tuned_encoder_is_pushed_and_comes_back(folder, server, api, tmp_path):
    encoder = load(folder, num_classes=3, in_chans=2, global_pool="canonical-soft")
    with torch.no_grad():
        encoder.fc.bias.fill_(0.5)
        encoder.layer1[0].conv1.weight += 0.01
    encoder.push_to_hub("org/tuned", private=True, commit_message="tuned")
    commit = server.repositories["org/tuned"].branches["main"]
    again = [
        load("hub:org/tuned"),
        Backbone.from_pretrained("org/tuned"),
        SteerableResNet.from_pretrained("org/tuned", revision=commit, token="hf_reader", cache_dir=tmp_path / "other"),
    ]
    for found in again:
        assert torch.equal(features(found), features(encoder))
        assert found.preprocessing == encoder.preprocessing
        assert (found.num_classes, found.in_chans, found.global_pool.mode) == (3, 2, "canonical-soft")
    tags = api.model_info("org/tuned").tags
    assert {"eqmodels", "equivariant", "c4"} <= set(tags)
    assert Backbone.from_pretrained("org/tuned", num_classes=5).num_classes == 5
    words = "or it is private and your token may not read it"
    refuses(words, Backbone.from_pretrained, "org/tuned", token=False, cache_dir=tmp_path / "none")
    refuses("holds an encoder without the run that pretrained it", load_pretrained, "hub:org/tuned")


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f" {TOKEN}", f"{TOKEN}é", ""])
def test_a_token_that_cannot_be_one_is_not_quoted(encoder, server, api, token):
    sentence = "^a token has letters, digits and signs only; the one given .* is not shown here"
    refuses(sentence, encoder.push_to_hub, "org/tuned", token=token, error=ValueError)
    assert server.requests == []


def test_a_token_of_the_environment_that_cannot_be_one_is_not_quoted(encoder, server, api, folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", f"{TOKEN}é")
    sentence = "^a token has letters, digits and signs only; the one of HF_TOKEN or hf auth login .* is not shown here"
    refuses(sentence, encoder.push_to_hub, "org/tuned", error=ValueError)
    refuses(sentence, publish, folder, "org/new", error=ValueError)
    refuses(sentence, load, "hub:org/tuned", error=ValueError)
    assert server.requests == []
    refuses("is not in the cache", load, "hub:org/tuned", local_files_only=True)  # which needs no token
    publish(folder, "org/new", dry_run=True)


@pytest.mark.parametrize("name", ["a/b/c", "org/..", "org/net work", "org/network\n", "", "o/" * 60])
def test_a_name_that_the_hub_would_refuse_is_refused_first(encoder, server, api, name):
    sentence = "^a repository of the Hub is named organisation/name; got "
    refuses(sentence, encoder.push_to_hub, name, error=ValueError)
    assert server.requests == []


@pytest.mark.parametrize("call", ["POST /api/repos/create", "POST .*/preupload/", "PUT /storage", "POST .*/commit/"])
@pytest.mark.parametrize("status", [401, 403, 500])
def test_what_the_hub_refuses_is_one_sentence(encoder, server, api, call, status):
    sentence = (
        rf"^the Hub refuses to write org/tuned \({status}: .*Log in"
        if status < 500
        else "^the Hub answered 500 while org/tuned was being written"
    )
    # What the client tries again, it does a second later.
    times = 6 if call in ("POST .*/preupload/", "PUT /storage") else 1
    server.faults.append(Fault(call, "status", status=status, times=times))
    refuses(sentence, encoder.push_to_hub, "org/tuned")
    server.faults.clear()
    encoder.push_to_hub("org/tuned")
    assert load("hub:org/tuned").num_classes == 3


def test_a_hub_that_is_gone_is_one_sentence(encoder, server, api):
    server.stop()
    refuses(r"^org/tuned could not be written \(\w+: ", encoder.push_to_hub, "org/tuned")


def test_an_encoder_that_cannot_be_saved_leaves_no_repository(encoder, server, api):
    encoder.fc = torch.nn.Sequential(encoder.fc, torch.nn.Linear(3, 3))
    refuses("only networks as create_model builds them", encoder.push_to_hub, "org/tuned", error=ValueError)
    assert server.requests == []


def test_a_name_without_an_owner_is_the_users(encoder, server, api, tmp_path):
    encoder.save_pretrained(tmp_path / "tuned", push_to_hub=True)
    assert list(server.repositories) == ["org/tuned"]
    card = Path(api.hf_hub_download("org/tuned", "README.md")).read_text()
    assert 'eqmodels.load("hub:org/tuned")' in card


def test_the_code_of_the_card_runs_and_its_licence_is_that_of_the_config(encoder, server, api, tmp_path, monkeypatch):
    encoder.push_to_hub("org/tuned", private=True)
    encoder.save_pretrained(tmp_path / "saved")
    monkeypatch.chdir(tmp_path / "saved")
    for card in (Path(api.hf_hub_download("org/tuned", "README.md")), tmp_path / "saved" / "README.md"):
        (code,) = re.findall(r"```python\n(.*?)```", card.read_text(), re.DOTALL)
        names: dict = {}
        exec(code, names)
        assert torch.equal(features(names["encoder"]), features(encoder))
        config = json.loads((tmp_path / "saved" / "config.json").read_text())
        assert ModelCard(card.read_text()).data.license == config["pretrained_cfg"]["license"] == "mit"
