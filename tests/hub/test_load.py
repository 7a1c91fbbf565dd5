"""One line gives a pretrained encoder: from the zoo or a folder, whole or adapted, and exactly equivariant."""

from __future__ import annotations

import json
import pickle
from hashlib import sha256

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save

import eqmodels
from eqmodels import EqmodelsError, create_model, list_models, load
from eqmodels.backbones import from_escnn
from eqmodels.backbones.escnn_resnet import EscnnResNet
from eqmodels.backbones.loading import encoder_state
from eqmodels.backbones.resnet import SteerableResNet
from eqmodels.backbones.standard_resnet import StandardResNet
from eqmodels.data import load_data
from eqmodels.evaluation import assert_equivariant
from eqmodels.hub import entry_of, list_pretrained, read_index
from eqmodels.remote.locating import FOLDERS

C4, TWIN = "c4_resnet18s_w16.rot_fmnist_simclr", "resnet18s_w16.rot_fmnist_simclr"


def outputs(encoder, channels=None):
    images = torch.rand(3, channels or encoder.in_chans, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return encoder(images)


def test_the_index_is_that_of_the_weights_in_the_zoo():
    index = read_index()
    assert set(index) == {folder.name for folder in FOLDERS[0].iterdir()}
    for name, entry in index.items():
        assert entry == entry_of(FOLDERS[0] / name, entry.repository, entry.commit)


@pytest.mark.parametrize("name", [C4, TWIN])
def test_one_line_gives_features(name):
    encoder = create_model(name, pretrained=True)
    assert not encoder.training
    assert outputs(encoder).shape == (3, 128)
    assert torch.equal(outputs(encoder), outputs(load(name)))
    assert torch.equal(outputs(encoder), outputs(load(FOLDERS[0] / name)))


def test_an_architecture_with_one_set_of_weights_needs_no_more_words():
    name = "c4_resnet18s_w16"
    assert list_pretrained(f"{name}.*") == [C4]
    assert torch.equal(outputs(create_model(name, pretrained=True)), outputs(load(C4)))


def test_without_pretrained_the_same_names_give_random_weights():
    encoder = create_model(C4, in_chans=1, num_classes=0)
    assert isinstance(encoder, SteerableResNet)
    assert not torch.equal(encoder.stem.conv.weight, load(C4).stem.conv.weight)


def test_names_are_listed():
    assert list_models("c4*", pretrained=True) == [name for name in list_pretrained() if name.startswith("c4")]
    assert {C4, TWIN} <= set(list_models(pretrained=True))
    assert C4 not in list_models()


@pytest.mark.parametrize("mode", ["invariant", "regular", "invariant+regular", "canonical", "canonical-soft"])
def test_a_fresh_classifier_stands_on_any_pooling(mode):
    encoder = create_model(C4, pretrained=True, num_classes=7, global_pool=mode)
    assert outputs(encoder).shape == (3, 7)
    assert encoder.fc.weight.requires_grad
    features = create_model(C4, pretrained=True, global_pool=mode)
    assert features.head_hidden_size == encoder.head_hidden_size


@pytest.mark.parametrize("name", [C4, TWIN])
@pytest.mark.parametrize("channels", [3, 4])
def test_other_channels_see_a_grey_image_as_before(name, channels):
    """Repeated filters, scaled, give for equal channels what one channel gave."""
    one, many = load(name), load(name, in_chans=channels)
    images = torch.rand(2, 1, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(many(images.expand(-1, channels, -1, -1)), one(images), rtol=1e-4, atol=1e-5)
    assert len(many.preprocessing.mean) == channels
    with torch.no_grad():
        # And one channel again: summed.
        back = eqmodels.backbones.with_channels(many, 1)
        torch.testing.assert_close(back(images), one(images), rtol=1e-4, atol=1e-5)


def test_a_classifier_that_was_put_in_is_not_left_behind():
    encoder = load(C4)
    encoder.fc = torch.nn.Linear(encoder.head_hidden_size, 2)
    with pytest.raises(ValueError, match="only networks as create_model builds them can be adapted"):
        eqmodels.backbones.with_channels(encoder, 3)


def test_other_channels_keep_double_precision():
    """Filters of three equal channels are a third of the one channel's, to the last digits of float64."""
    one = load(C4).double()
    with torch.no_grad():
        for weight in one.parameters():
            weight.add_(1e-12 * torch.rand_like(weight))
    many = eqmodels.backbones.with_channels(one, 3)
    images = torch.rand(2, 1, 28, 28, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(many(images.expand(-1, 3, -1, -1)), one(images), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("canonical", {"in_chans": 3}),
        ("canonical", {"num_classes": 5}),
        ("canonical", {"in_chans": 2, "num_classes": 4}),
        ("regular", {"in_chans": 3}),
        ("invariant+regular", {"in_chans": 2}),
    ],
)
def test_adapted_encoders_are_exactly_equivariant(mode, options):
    assert_equivariant(load(C4, global_pool=mode, **options), size=28, tolerance=1e-10, randomised=False)


def test_the_transform_is_that_of_the_training():
    run, encoder = eqmodels.hub.load_pretrained(C4), load(C4)
    data = load_data("fashion_mnist_mini", "test").subset(torch.arange(4))
    expected = run.preprocessing.normalise(data.pixels())
    transform = encoder.transform()
    pixels = (data.pixels() * 255).round().to(torch.uint8)
    torch.testing.assert_close(torch.stack([transform(image) for image in pixels]), expected, rtol=1e-6, atol=1e-6)
    pictures = [Image.fromarray(image[0].numpy()) for image in pixels]
    torch.testing.assert_close(torch.stack([transform(image) for image in pictures]), expected, rtol=1e-6, atol=1e-6)
    # Colours and other sizes are made what the network takes.
    assert transform(Image.new("RGB", (100, 60))).shape == (1, 28, 28)
    assert load(C4, in_chans=3).transform()(Image.new("L", (100, 60))).shape == (3, 28, 28)


def test_random_weights_have_no_transform():
    with pytest.raises(ValueError, match="transform is the preprocessing that belongs to pretrained weights"):
        create_model("c4_resnet18s_w8").transform()


BUILT = [
    ("c4_resnet18s_w8", {"num_classes": 3, "in_chans": 2}),
    ("d4_resnet18s_w8", {"num_classes": 0, "global_pool": "canonical", "norm": "layer"}),
    ("c8_resnet18_w8", {"num_classes": 0, "group_pool": "norm"}),
    ("resnet18s_w4", {"num_classes": 5}),
    ("d4_wide_resnet16_8_w16", {"num_classes": 2, "restrict": ("d4", "c4", "c1"), "dropout": 0.1}),
]


@pytest.mark.parametrize(("name", "options"), BUILT)
def test_an_encoder_is_the_same_after_a_round_trip(tmp_path, randomised, name, options):
    encoder = randomised(create_model(name, **options)).eval()
    encoder.save_pretrained(tmp_path)
    for loaded in (
        load(tmp_path),
        type(encoder).from_pretrained(tmp_path),
        eqmodels.Backbone.from_pretrained(tmp_path),
    ):
        assert type(loaded) is type(encoder)
        assert loaded.describe_output() == encoder.describe_output()
        torch.testing.assert_close(outputs(loaded), outputs(encoder), rtol=0, atol=0)
    assert set(load_file(tmp_path / "model.safetensors")) == set(encoder.state_dict())
    assert "equivariant" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    ("objective", "tensor", "sentence"),
    [
        ("prediction", "heads.0.more", r"heads\.0\.more"),
        ("prediction", "backbone.more", r"backbone\.more"),
        ("somebody_s_own", "heads.0.more", None),
        ("somebody_s_own", "backbone.more", "more"),
    ],
)
def test_a_tensor_that_belongs_to_nobody_is_refused_where_the_objective_is_known(tmp_path, objective, tensor, sentence):
    weights = save(load_file(FOLDERS[0] / C4 / "model.safetensors") | {tensor: torch.zeros(1)})
    content = json.loads((FOLDERS[0] / C4 / "config.json").read_text())
    content |= {"sha256": sha256(weights).hexdigest()}
    content["pretraining"] = {"format": 2, "model": {"name": "c4_resnet18s_w16"}, "objective": {"name": objective}}
    (tmp_path / "model.safetensors").write_bytes(weights)
    (tmp_path / "config.json").write_text(json.dumps(content))
    if sentence is None:
        assert torch.equal(outputs(load(tmp_path)), outputs(load(C4)))
    else:
        with pytest.raises(EqmodelsError, match=sentence):
            load(tmp_path)
    with pytest.raises(EqmodelsError, match=r"more|\(--import FILE\). .* eqmodels.load gives"):
        eqmodels.hub.load_pretrained(tmp_path)


@pytest.mark.parametrize("place", ["direction.pose", "direction"])
def test_the_pose_is_found_wherever_an_objective_has_it(place):
    encoder = load(C4)
    run = load_file(FOLDERS[0] / C4 / "model.safetensors")
    renamed = {name.replace("heads.0.pose", place): value for name, value in run.items()}
    assert renamed.keys() != run.keys()
    found = encoder_state(renamed, encoder)
    assert found.keys() == encoder.state_dict().keys()
    assert all(torch.equal(found[name], value) for name, value in encoder.state_dict().items())


def test_a_fine_tuned_encoder_keeps_its_classifier_and_its_preprocessing(tmp_path):
    encoder = create_model(C4, pretrained=True, num_classes=3)
    encoder.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert torch.equal(again.fc.weight, encoder.fc.weight)
    assert again.preprocessing == encoder.preprocessing
    assert load(tmp_path, num_classes=0).num_classes == 0
    with pytest.raises(EqmodelsError, match="holds an encoder without the run that pretrained it"):
        eqmodels.hub.load_pretrained(tmp_path)


def test_networks_of_other_layers_are_not_written(tmp_path):
    encoder = create_model("c4_resnet18s_w8")
    encoder.fc = torch.nn.Sequential(torch.nn.Linear(16, 8), torch.nn.Linear(8, 2))
    with pytest.raises(ValueError, match="only networks as create_model builds them can be written"):
        encoder.save_pretrained(tmp_path)
    assert not (tmp_path / "config.json").exists()


@pytest.mark.escnn
def test_a_network_of_escnn_is_saved_as_it_is_or_converted(tmp_path):
    network = EscnnResNet("resnet18s", "c4", width=8, num_classes=2, in_chans=1).eval()
    network.save_pretrained(tmp_path / "own")
    again = load(tmp_path / "own")
    assert type(again) is EscnnResNet
    assert torch.equal(outputs(again), outputs(network))
    from_escnn(network).save_pretrained(tmp_path / "native")
    native = load(tmp_path / "native")
    assert type(native) is SteerableResNet
    torch.testing.assert_close(outputs(native), outputs(network), rtol=1e-4, atol=1e-5)


def test_another_class_is_named(tmp_path):
    create_model("c4_resnet18s_w8").save_pretrained(tmp_path)
    with pytest.raises(TypeError, match="holds a SteerableResNet, not a StandardResNet"):
        StandardResNet.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: create_model("c4_resnet18s_w17.nothing", pretrained=True), ValueError, "the nearest names are"),
        (lambda: create_model("nothing", pretrained=True), ValueError, "the nearest names are"),
        (
            lambda: create_model(C4, pretrained=True, width=32),
            TypeError,
            "got 'width', and the weights fix the",
        ),
        (lambda: load(C4, in_chans=0), ValueError, "in_chans"),
        (lambda: load(C4, num_classes=-1), ValueError, "num_classes"),
        (lambda: load(TWIN, global_pool="canonical"), ValueError, "pose"),
        (lambda: load("../zoo"), ValueError, "the nearest names are"),
        (lambda: load("hub:not a name"), ValueError, "a repository of the Hub is named organisation/name"),
        (lambda: load("hub:../../etc/passwd"), ValueError, "a repository of the Hub is named organisation/name"),
    ],
)
def test_bad_input_gets_one_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_pickles_are_refused_with_the_reason(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": [1.0]}))
    with pytest.raises(EqmodelsError, match=r"only pytorch_model.bin: a pickle, which can run any code"):
        load(tmp_path)


def test_a_folder_of_the_zoo_that_was_changed_is_refused(tmp_path, monkeypatch):
    """Weights and config that fit each other, but are not those of the index."""
    folder = tmp_path / C4
    encoder = load(C4)
    encoder.save_pretrained(folder)
    monkeypatch.setattr("eqmodels.remote.locating.FOLDERS", (tmp_path,))
    with pytest.raises(
        EqmodelsError, match=r"is not the file of the zoo's index.* It is not on the Hub yet: take the one of a"
    ):
        load(C4)
    content = json.loads((folder / "config.json").read_text())
    assert content["architecture"] == "c4_resnet18s_w16"
