"""What a network is named by, and what may be said with it: everything applies, or is refused in one sentence."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path

import pytest
import torch

from eqmodels import Backbone, EqmodelsError, create_model, load
from eqmodels.hub import list_pretrained, load_pretrained, locate
from eqmodels.remote.locating import FOLDERS, zoo_folders
from tests.hub_server import HubServer

pytestmark = pytest.mark.usefixtures("no_shape_checks")

C4, TWIN = "c4_resnet18s_w16.rot_fmnist_simclr", "resnet18s_w16.rot_fmnist_simclr"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The working directory, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def saved(tmp_path):
    """A folder with an encoder."""
    create_model("c4_resnet18s_w4", in_chans=1, num_classes=3).save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.fixture
def server(tmp_path):
    with HubServer() as hub, hub.client(tmp_path / "home"):
        yield hub


def refuses(error, sentence, call, *arguments, **options):
    with pytest.raises(error, match=sentence) as caught:
        call(*arguments, **options)
    words = str(caught.value)
    assert words.isprintable()
    assert len(words) < 1000


# Options.


@pytest.mark.parametrize("call", [load, Backbone.from_pretrained])
@pytest.mark.parametrize("source", [C4, "saved", "hub:org/network"])
def test_a_misspelt_option_is_refused_whatever_the_source(server, saved, call, source):
    refuses(
        TypeError, "unexpected keyword argument 'num_clases'", call, source.replace("saved", str(saved)), num_clases=1
    )
    assert server.requests == []


@pytest.mark.parametrize("call", [load, load_pretrained, locate, Backbone.from_pretrained])
def test_a_revision_of_what_is_not_on_the_hub_is_refused(saved, call):
    sentence = "^revision is a commit, tag or branch on the Hub; got 'v9' for '.*', which is the folder .*. Drop it"
    for source in (C4, str(saved), saved):
        refuses(ValueError, sentence, call, source, revision="v9")
    if call is load:
        refuses(ValueError, sentence, create_model, C4, pretrained=True, revision="v9")


def test_two_revisions_are_refused_and_one_twice_is_one(server):
    sentence = "^the revision is given twice, in 'hub:org/network@v1' and as revision='main'; drop one.$"
    refuses(ValueError, sentence, load, "hub:org/network@v1", revision="main")
    refuses(ValueError, "^a revision is a commit, .*; got ''", load, "hub:org/network@")
    assert server.requests == []
    refuses(EqmodelsError, "no repository org/network", load, "hub:org/network@v1", revision="v1")


def test_options_of_the_hub_that_change_nothing_here_are_allowed(saved, tmp_path):
    options = {"token": False, "cache_dir": tmp_path / "cache", "force_download": True, "local_files_only": True}
    for source in (C4, saved):
        assert isinstance(load(source, **options), Backbone)
    assert create_model(C4, pretrained=True, **options).num_classes == 0
    assert not (tmp_path / "cache").exists()


# Names of the zoo.


def test_a_name_of_the_zoo_comes_before_a_folder_of_that_name(place, monkeypatch):
    create_model("c4_resnet18s_w4", in_chans=1, num_classes=3).save_pretrained(C4)
    for call in (load, Backbone.from_pretrained):
        assert call(C4).num_classes == 0
        for path in (f"./{C4}", Path(C4), place / C4):
            assert call(path).num_classes == 3
    # Also where the weights of the zoo are elsewhere.
    monkeypatch.setattr("eqmodels.remote.locating.FOLDERS", ())
    refuses(EqmodelsError, f"^{C4} is not on the Hub yet", load, C4)
    assert load(Path(C4)).num_classes == 3


def test_an_empty_folder_of_the_name_of_a_network_is_not_in_the_way(place):
    (place / C4).mkdir()
    for call in (load, Backbone.from_pretrained, load_pretrained):
        assert call(C4) is not None
    refuses(EqmodelsError, "has no config.json, and so is not the folder of a network", load, Path(C4))


def test_only_a_checkout_of_eqmodels_has_a_zoo_beside_the_package(tmp_path):
    package = tmp_path / "site-packages" / "eqmodels"
    embedded = package / "remote" / "zoo"
    project = package.parent / "pyproject.toml"
    package.mkdir(parents=True)
    assert zoo_folders(package) == (embedded,)
    for text in ('[project]\nname = "zoo"\n', '[project]\nname = "eqmodels-plugin"\n', b"\xff"):
        project.write_bytes(text if isinstance(text, bytes) else text.encode())
        assert zoo_folders(package) == (embedded,)
    project.write_text('[project]\nname = "eqmodels"\n')
    assert zoo_folders(package) == (package.parent / "zoo", embedded)
    assert FOLDERS[0] == Path(__file__).parents[2] / "zoo"


# What is no source.


@pytest.mark.parametrize("call", [load, load_pretrained, locate, Backbone.from_pretrained])
@pytest.mark.parametrize(
    ("source", "error", "sentence"),
    [
        (None, TypeError, "^source must be a name of the zoo, the path of a folder or 'hub:.*'; got None. Name one.$"),
        (5, TypeError, "; got 5. Name one.$"),
        ("", ValueError, "; got ''. Name one.$"),
        ("x" * 5000, ValueError, "is neither the folder of a run nor a pretrained network; the nearest names are"),
        ("x" * 5000 + ".pt", ValueError, "is neither the folder of a run nor a pretrained network"),
        ("c4_resnet18s_w16.rot_fmnist", ValueError, f"the nearest names are .*{C4}"),
        (
            "hub:network",
            ValueError,
            "^a repository of the Hub is named organisation/name; got 'network' .the orga",
        ),
        ("hub:" + "x" * 5000, ValueError, "^a repository of the Hub is named organisation/name; got '?xxx"),
    ],
    ids=["None", "number", "nothing", "long", "long .pt", "zoo", "no organisation", "long repository"],
)
def test_what_is_no_source_is_one_sentence(server, call, source, error, sentence):
    refuses(error, sentence, call, source)
    assert server.requests == []


def test_from_pretrained_finds_the_zoo_folders_and_repositories(server, saved):
    files = {file.name: file.read_bytes() for file in saved.iterdir()}
    server.publish("org/network", files)
    assert Backbone.from_pretrained(C4).head_hidden_size == 128
    assert server.requests == []
    for source in (saved, str(saved), "org/network", "hub:org/network"):
        assert Backbone.from_pretrained(source).num_classes == 3
    sentence = "^a repository of the Hub is named organisation/name; got '/nowhere/network'"
    refuses(ValueError, sentence, Backbone.from_pretrained, "/nowhere/network")


@pytest.mark.parametrize("name", ["c4*", "c4_resnet18s_w1?", "*"])
def test_a_pattern_is_no_name(name):
    assert C4 in list_pretrained(f"{name}.*")
    refuses(ValueError, "is neither the folder of a run nor a pretrained network", create_model, name, pretrained=True)


@pytest.mark.parametrize("name", [5, None, ["c4_resnet18s"]])
def test_a_name_is_a_string(name):
    refuses(TypeError, "^name must be a string such as ", create_model, name, pretrained=True)


def test_the_options_of_pretrained_weights_are_named():
    sentence = "^with pretrained=True the options are num_classes, .*, force_download, local_files_only; got 'widht'"
    refuses(TypeError, sentence, create_model, C4, pretrained=True, widht=5)


# Folders that hold no network.


def test_a_folder_that_holds_no_network_says_what_it_lacks(saved):
    (saved / "model.safetensors").unlink()
    for call in (load, load_pretrained):
        refuses(EqmodelsError, "saved has no model.safetensors, and so is not the folder of a network", call, saved)
    (saved / "config.json").unlink()
    for call in (load, load_pretrained):
        refuses(EqmodelsError, "saved has no config.json, and so is not the folder of a network. Name one", call, saved)


def test_a_run_that_is_not_done_says_so(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"")
    refuses(EqmodelsError, "is the folder of a run that is not done: it has checkpoint.pt and no", load, tmp_path)


@pytest.mark.parametrize("ending", ["bin", "ckpt", "pickle", "pkl", "pt", "pth", "pth.tar", "pt.tar"])
def test_pickles_of_every_name_are_refused_with_the_reason(tmp_path, ending):
    (tmp_path / f"weights.{ending}").write_bytes(pickle.dumps(1))
    sentence = f"has no model.safetensors, only weights.{ending}: a pickle, which can run any code when it is opened"
    refuses(EqmodelsError, sentence, load, tmp_path)


class Malicious:
    """What a pickle may do when it is opened."""

    def __reduce__(self):
        return os.mkdir, ("owned",)


def test_a_hostile_checkpoint_is_refused_in_few_words(place):
    torch.save({"format": 1, "config": Malicious()}, "checkpoint.pt")
    for source in ("checkpoint.pt", place):
        sentence = r"checkpoint.pt cannot be read \(it holds more than tensors and numbers, and could run any code\)"
        refuses(EqmodelsError, sentence, load_pretrained, source)
    assert not (place / "owned").exists()


# A fresh classifier.


def test_the_pooling_that_is_there_already_leaves_the_classifier(saved):
    assert torch.equal(load(saved, global_pool="invariant").fc.weight, load(saved).fc.weight)


def test_a_classifier_that_is_asked_for_is_fresh_whatever_was_saved(saved):
    trained = load(saved).fc.weight
    for options in ({}, {"global_pool": "invariant"}, {"global_pool": "regular"}, {"in_chans": 3}):
        encoder = load(saved, num_classes=3, **options)
        assert encoder.fc.out_features == 3
        assert encoder.fc.weight.shape != trained.shape or not torch.equal(encoder.fc.weight, trained)
    assert torch.equal(load(saved, in_chans=3).fc.weight, trained)


@pytest.mark.parametrize("mode", ["regular", "invariant+regular"])
def test_a_trained_classifier_is_not_exchanged_for_a_random_one_silently(saved, mode):
    sentence = f"was trained on invariant features, and knows no others; got global_pool='{mode}'. Add num_classes=3"
    refuses(ValueError, re.escape(sentence), load, saved, global_pool=mode)
    assert load(saved, global_pool=mode, num_classes=0).num_classes == 0
    assert load(saved, global_pool=mode, num_classes=3).fc.in_features > 8


def test_features_have_no_classifier_to_lose(saved):
    load(saved, num_classes=0).save_pretrained(saved)
    assert load(saved, global_pool="regular").head_hidden_size == 32
    assert load(saved, global_pool="regular", num_classes=2).fc.in_features == 32
