"""An encoder of one's own is pushed and comes back, or a sentence says why not."""

from __future__ import annotations

import torch

from eqmodels import Encoder, load
from eqmodels.backbones import SteerableResNet
from eqmodels.hub import load_pretrained
from tests.hub.networks import features, refuses


def test_a_fine_tuned_encoder_is_pushed_and_comes_back(folder, server, api, tmp_path):
    encoder = load(folder, num_classes=3, in_chans=2, global_pool="canonical-soft")
    with torch.no_grad():
        encoder.fc.bias.fill_(0.5)
        encoder.layer1[0].conv1.weight += 0.01
    encoder.push_to_hub("org/tuned", private=True, commit_message="tuned")
    commit = server.repositories["org/tuned"].branches["main"]
    again = [
        load("hub:org/tuned"),
        Encoder.from_pretrained("org/tuned"),
        SteerableResNet.from_pretrained("org/tuned", revision=commit, token="hf_reader", cache_dir=tmp_path / "other"),
    ]
    for found in again:
        assert torch.equal(features(found), features(encoder))
        assert found.preprocessing == encoder.preprocessing
        assert (found.num_classes, found.in_chans, found.global_pool.mode) == (3, 2, "canonical-soft")
    tags = api.model_info("org/tuned").tags
    assert {"eqmodels", "equivariant", "c4"} <= set(tags)
    assert Encoder.from_pretrained("org/tuned", num_classes=5).num_classes == 5
    words = "or it is private and your token may not read it"
    refuses(words, Encoder.from_pretrained, "org/tuned", token=False, cache_dir=tmp_path / "none")
    refuses("holds an encoder without the run that pretrained it", load_pretrained, "hub:org/tuned")
