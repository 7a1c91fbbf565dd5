"""transformers loads, runs, trains and saves our folders and repositories, without any code in them."""

from __future__ import annotations

import copy
import pickle
from types import SimpleNamespace

import pytest
import torch
import transformers
from PIL import Image
from torch import nn

import eqmodels
from eqmodels.evaluation import assert_equivariant
from eqmodels.hub import register_timm, register_transformers
from eqmodels.remote.locating import FOLDERS
from eqmodels.transforms import Preprocessing
from tests.hub_server import HubServer

ZOO = "c4_resnet18s_w16.rot_fmnist_simclr"
NAME = "c4_resnet18s_w4"


@pytest.fixture(autouse=True, scope="module")
def classes():
    transformers.utils.logging.disable_progress_bar()
    return SimpleNamespace(**register_transformers())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network with a classifier of three named classes, saved by ourselves."""
    encoder = eqmodels.create_model(NAME, num_classes=3).eval()
    encoder.preprocessing = Preprocessing((0.5,) * 3, (0.25,) * 3, (16, 16))
    encoder.classes = ("ant", "bee", "cow")
    place = tmp_path_factory.mktemp("saved") / "encoder"
    encoder.save_pretrained(place)
    return str(place)


@pytest.fixture
def images():
    return torch.rand(2, 3, 16, 16)


def test_a_folder_is_a_model_of_features(folder, images, classes):
    model = transformers.AutoModel.from_pretrained(folder)
    encoder = eqmodels.load(folder, num_classes=0)
    assert type(model) is classes.EqmodelsModel
    assert not model.training
    assert (model.config.architecture, model.config.hidden_size, model.config.num_channels) == (NAME, 32, 3)
    with torch.no_grad():
        output = model(images, output_hidden_states=True)
        assert torch.equal(output.pooler_output, encoder(images))
        assert torch.equal(output.last_hidden_state, encoder.forward_features(images))
        assert [maps.shape[1] for maps in output.hidden_states] == model.config.hidden_sizes
        last, pooled = model(images, return_dict=False)
        assert torch.equal(pooled, encoder(images))
        assert torch.equal(last, output.hidden_states[-1])
        # AutoBackbone itself takes a folder for a repository.
        backbone = classes.EqmodelsBackbone.from_pretrained(folder, out_features=["layer2", "layer4"])
        assert all(map(torch.equal, backbone(images).feature_maps, (output.hidden_states[2], last)))


def test_types_and_devices_are_those_that_are_asked_for(folder, images):
    model = transformers.AutoModel.from_pretrained(folder, dtype="bfloat16", device_map="cpu")
    assert {value.dtype for value in model.parameters()} == {torch.bfloat16}
    assert model(images).pooler_output.dtype == torch.bfloat16
    assert model(images).pooler_output.isfinite().all()
    with pytest.raises(ValueError, match=r"^dtype must be a floating-point type of torch; got 'grapes'\. Pass"):
        type(model).from_pretrained(folder, config=model.config, dtype="grapes")


def test_a_run_of_the_zoo_is_one_with_the_pose_of_its_head(images):
    """Its file holds heads too, and its tensors have other names."""
    folder = str(FOLDERS[0] / ZOO)
    encoder, pictures = eqmodels.load(ZOO), [Image.new("L", (40, 30), 100), Image.new("RGB", (28, 28), "red")]
    features = transformers.pipeline("image-feature-extraction", model=folder, pool=True, return_tensors=True)
    assert features.model.encoder.global_pool.mode == "canonical"
    with torch.no_grad():
        for picture, found in zip(pictures, features(pictures), strict=True):
            # Its own reader of pictures makes colours of all of them.
            assert torch.equal(found, encoder(encoder.transform()(picture.convert("RGB"))[None]))
    inputs = transformers.AutoImageProcessor.from_pretrained(folder)(pictures, return_tensors="pt")
    assert inputs.pixel_values.shape == (2, 1, 28, 28)


def test_a_folder_is_a_classifier(folder, images):
    model = transformers.AutoModelForImageClassification.from_pretrained(folder)
    assert model.config.id2label == {0: "ant", 1: "bee", 2: "cow"}
    labels = torch.tensor([0, 2])
    output = model(images, labels=labels)
    assert torch.equal(output.logits, eqmodels.load(folder)(images))
    torch.testing.assert_close(output.loss, nn.functional.cross_entropy(output.logits, labels))
    with pytest.raises(ValueError, match=r"^the trained classifier has 3 classes; got num_labels=5\. Pass ignore_mis"):
        transformers.AutoModelForImageClassification.from_pretrained(folder, num_labels=5)
    fresh = transformers.AutoModelForImageClassification.from_pretrained(
        folder, num_labels=5, ignore_mismatched_sizes=True
    )
    assert fresh(images).logits.shape == (2, 5)
    with pytest.raises(ValueError, match=r"^a network for classification needs classes; .* Pass num_labels=10"):
        transformers.AutoModelForImageClassification.from_pretrained(str(FOLDERS[0] / ZOO))


def test_the_hub_serves_every_class(folder, images, tmp_path, classes):
    with HubServer() as server, server.client(tmp_path / "home"):
        files = {file.name: file.read_bytes() for file in (FOLDERS[0] / ZOO).iterdir()}
        server.publish("org/zoo", files)
        encoder, grey = eqmodels.load(ZOO), torch.rand(2, 1, 28, 28)
        with torch.no_grad():
            found = transformers.AutoModel.from_pretrained("org/zoo")(grey)
            assert torch.equal(found.pooler_output, encoder(grey))
            backbone = transformers.AutoBackbone.from_pretrained("org/zoo", out_indices=[2, 4])
            assert type(backbone) is classes.EqmodelsBackbone
            assert (backbone.out_features, backbone.channels) == (["layer2", "layer4"], [32, 128])
            for maps, name in zip(backbone(grey).feature_maps, ("layer2", "layer4"), strict=True):
                stages = nn.Sequential(*(encoder.get_submodule(n) for n in encoder.stages[: 1 + int(name[-1])]))
                assert torch.equal(maps, stages(grey))
        processor = transformers.AutoImageProcessor.from_pretrained("org/zoo")
        assert processor(Image.new("L", (50, 60))).pixel_values.shape == (1, 1, 28, 28)


def test_damaged_weights_are_refused(folder, tmp_path, images):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((FOLDERS[0] / ZOO / name).read_bytes())
    content = bytearray((tmp_path / "model.safetensors").read_bytes())
    content[-8] ^= 1
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(eqmodels.storage.StorageError, match="sha256"):
        transformers.AutoModel.from_pretrained(str(tmp_path))
    config = (tmp_path / "config.json").read_text()
    for old, new, sentence in (
        ('"num_classes": 0', '"num_classes": "many"', r"^config\.json breaks"),
        ('"c4_resnet18s_w16"', '"c4_resnet18s_w160000"', "^a file may describe networks of at most 9999 channels"),
        ('"c4_resnet18s_w16"', '"c4_reznet18s_w16"', "^no model is named 'c4_reznet18s_w16'"),
    ):
        (tmp_path / "config.json").write_text(config.replace(old, new))
        with pytest.raises((ValueError, eqmodels.EqmodelsError), match=sentence):
            transformers.AutoModel.from_pretrained(str(tmp_path))


def test_what_transformers_saves_we_load_and_the_other_way_round(folder, images, tmp_path):
    model = transformers.AutoModelForImageClassification.from_pretrained(
        folder, id2label={0: "yes", 1: "no"}, label2id={"yes": 0, "no": 1}, ignore_mismatched_sizes=True
    )
    model.save_pretrained(tmp_path / "a")
    encoder = eqmodels.load(tmp_path / "a")
    again = transformers.AutoModelForImageClassification.from_pretrained(str(tmp_path / "a"))
    assert encoder.classes == ("yes", "no") == tuple(again.config.id2label.values())
    with torch.no_grad():
        assert torch.equal(encoder(images), model(images).logits)
        assert torch.equal(again(images).logits, model(images).logits)
    transformers.AutoImageProcessor.from_pretrained(folder).save_pretrained(tmp_path / "a")
    assert torch.equal(encoder.transform()(images[0]), eqmodels.load(folder).transform()(images[0]))
    moved = {key: value + 1 for key, value in model.state_dict().items()}
    model.save_pretrained(tmp_path / "b", state_dict=moved)
    assert torch.equal(eqmodels.load(tmp_path / "b").fc.bias, model.encoder.fc.bias + 1)
    model.save_pretrained(tmp_path / "c", is_main_process=False)
    assert not (tmp_path / "c").exists()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_trainer_trains_saves_and_goes_on(folder, tmp_path):
    model = transformers.AutoModelForImageClassification.from_pretrained(folder)
    data = [{"pixel_values": torch.rand(3, 16, 16), "labels": i % 3} for i in range(4)]

    def trainer(model, steps):
        arguments = transformers.TrainingArguments(
            str(tmp_path), max_steps=steps, save_steps=1, per_device_train_batch_size=2, use_cpu=True, report_to=[],
            disable_tqdm=True,
        )  # fmt: skip
        return transformers.Trainer(model, arguments, train_dataset=data)

    before = copy.deepcopy(model.state_dict())
    model.gradient_checkpointing_enable()
    assert model.encoder.grad_checkpointing
    trainer(model, 2).train()
    assert not torch.equal(model.encoder.stem.conv.weight, before["encoder.stem.conv.weight"])
    for key, value in eqmodels.load(tmp_path / "checkpoint-2").state_dict().items():
        assert torch.equal(value, model.encoder.state_dict()[key]), key
    other = transformers.AutoModelForImageClassification.from_pretrained(folder)
    resumed = trainer(other, 2)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
    assert resumed.state.global_step == 2


def test_a_network_of_random_weights_by_its_name(images, classes):
    config = classes.EqmodelsConfig(architecture="d4_resnet18s_w8", model_args={"global_pool": "regular"})
    model = transformers.AutoModel.from_config(config).eval()
    assert model.encoder.group.name == "d4"
    assert_equivariant(model.encoder, size=12)
    backbone = transformers.AutoBackbone.from_config(config)
    assert [maps.shape for maps in backbone(images).feature_maps] == [(2, 64, 2, 2)]
    assert type(pickle.loads(pickle.dumps(model))) is classes.EqmodelsModel


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"wings": 2}, TypeError, "^EqmodelsModel.from_pretrained has no option 'wings'. Drop it"),
        ({"device_map": {"encoder": 0, "": 1}}, ValueError, "^device_map must name one device"),
    ],
    ids=repr,
)
def test_what_cannot_be_done_is_refused(options, error, sentence, folder):
    with pytest.raises(error, match=sentence):
        transformers.AutoModel.from_pretrained(folder, **options)


@pytest.mark.parametrize(
    ("name", "options"), [("c4_resnet18s_w4", {"global_pool": "canonical", "pose_hidden": 8}), ("c8_resnet18s_w8", {})]
)
def test_the_wrapper_of_timm_saves_and_loads_bit_for_bit(name, options, images, tmp_path):
    """It builds on the device `meta`, and fills tensors one by one: harmonic filters and poses must follow."""
    register_timm([name])
    config = transformers.TimmWrapperConfig(architecture=name, num_labels=4, model_args=options)
    model = transformers.TimmWrapperForImageClassification(config).eval()
    model.save_pretrained(tmp_path)
    again = transformers.TimmWrapperForImageClassification.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(again(images).logits, model(images).logits)
        assert again(images).logits.isfinite().all()
