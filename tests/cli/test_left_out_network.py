"""Commands on pictures whose network is not named take that of photographs, and are read as before where it is."""

from __future__ import annotations

import numpy as np
import pytest

from eqmodels import create_model, load
from eqmodels.cli import main
from eqmodels.cli.with_network import USUAL
from eqmodels.neighbours import NeighbourIndex
from eqmodels.transforms import Preprocessing
from tests.neighbours.conftest import draw


@pytest.fixture
def network(tmp_path, monkeypatch):
    """A small network in a folder ``network``, beside a folder ``mine`` of three pictures."""
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        draw(tmp_path / f"mine/{number}.png", number)
    encoder = create_model("c4_resnet18s_w4", num_classes=0).eval()
    encoder.preprocessing = Preprocessing((0.5,) * 3, (0.25,) * 3, (12, 12), "squash")
    encoder.save_pretrained(tmp_path / "network")
    return "network"


def features(*words: str) -> np.ndarray:
    assert main(["embed", *words]) == 0
    with np.load("features.npz") as content:
        return content["features"]


def test_pictures_alone_are_given_to_the_network_of_photographs(network, capsys):
    out = ["--out", "features.npz"]
    usual = features(USUAL, "mine", *out)
    assert usual.shape == (3, load(USUAL).head_hidden_size)
    files = [f"mine/{number}.png" for number in range(3)]
    for words in (["mine", *out], [*out, "mine"], [*files, *out], [*out, "--features", "canonical", *files]):
        np.testing.assert_allclose(features(*words), usual, rtol=1e-4, atol=1e-5)


def test_where_a_network_is_named_words_stand_in_any_order(network, capsys):
    out = ["--out", "features.npz"]
    named = features(network, "mine", *out)
    assert named.shape == (3, load(network).head_hidden_size)
    for words in ([network, *out, "mine"], [*out, network, "mine"], ["--batch-size", "2", network, "mine", *out]):
        np.testing.assert_allclose(features(*words), named, rtol=1e-4, atol=1e-5)


def test_neighbours_and_duplicates_do_without_a_name(network, capsys):
    assert main(["neighbours", "mine", "--index", "my.index"]) == 0
    assert NeighbourIndex.load("my.index").network["name"] == USUAL
    assert main(["neighbours", "--index", "my.index", "--query", "mine/0.png", "--count", "1"]) == 0
    assert "  mirrored: the same" in capsys.readouterr().out
    assert main(["duplicates", "mine"]) == 0
    assert main(["neighbours", network, "mine", "--index", "other.index"]) == 0
    assert NeighbourIndex.load("other.index").network["name"] == network
    assert main(["neighbours", "--index", "other.index", "--query", "mine/0.png"]) != 0
    assert "other.index" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["c4_resnet18_w32.distil_lit0", "mine"], "c4_resnet18_w32.distil_lite0"),
        (["network"], "the following arguments are required: IMAGES"),
        ([], "the following arguments are required: IMAGES"),
        (["nowhere", "mine"], "nowhere"),
    ],
)
def test_what_is_neither_is_refused_in_one_sentence(network, words, said, capsys):
    assert main(["embed", *words, "--out", "features.npz"]) != 0
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", ["embed", "neighbours", "duplicates"])
def test_the_help_says_which_it_is(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    words = " ".join(capsys.readouterr().out.split())
    assert f"organisation/name[@revision] (default: {USUAL})" in words
