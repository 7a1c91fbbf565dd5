"""The contract of timm's networks: what timm's own tests of models and its scripts ask of every registered name."""

from __future__ import annotations

import json

import pytest
import timm
import torch
from onnxruntime import InferenceSession
from PIL import Image
from timm.data import create_transform, resolve_model_data_config
from timm.models import FeatureInfo, get_pretrained_cfg, save_for_hf
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from timm.utils import freeze
from timm.utils.onnx import onnx_export

import eqmodels
import eqmodels.timm
from eqmodels.storage import StorageError

NAMES = eqmodels.timm.register_timm()
TINY, STANDARD, WIDE = "c4_resnet18s_w16", "resnet18s_w16", "c4_wide_resnet16_8_w16"
ZOO = eqmodels.list_models(pretrained=True, takes="images")
C4 = f"{TINY}.rot_fmnist_simclr"

each_family = pytest.mark.parametrize("name", [TINY, STANDARD, WIDE])


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 33, 32, generator=torch.Generator().manual_seed(0))


# Names and configs ---------------------------------------------------------------------------------------------------


def test_every_architecture_is_listed_at_its_usual_widths_and_every_network_of_the_zoo_as_a_tag():
    listed = set(timm.list_models())
    for name in eqmodels.list_models(takes="images"):
        assert {name, *(f"{name}_w{width}" for width in (16, 32, 64))} <= listed
    assert set(ZOO) <= set(timm.list_pretrained())
    assert [name for name in timm.list_models("c4_resnet18*", pretrained=True) if name not in ZOO] == []
    assert timm.models.is_model_pretrained(C4)
    assert not timm.models.is_model_pretrained(TINY), "a name alone is of random weights"


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name.startswith(("c4_", "res")) and "18" in name and name.endswith("_w16")]
)
def test_default_configs_are_true(name):
    config = get_pretrained_cfg(name)
    with torch.device("meta"):
        model = timm.create_model(name)
        maps = model.forward_features(torch.empty(1, *config.input_size))
    assert maps.shape == (1, model.num_features, *config.pool_size)
    assert model.pretrained_cfg["num_classes"] == model.num_classes == 1000
    assert {f"{config.first_conv}.weight", f"{config.classifier}.weight"} <= set(model.state_dict())
    assert config.input_size == (3, 224, 224) if "resnet18_" in name else config.input_size[0] == 3


@pytest.mark.parametrize("name", ZOO)
def test_a_tag_is_the_network_of_the_zoo(name):
    ours, theirs = eqmodels.load(name), timm.create_model(name, pretrained=True).eval()
    size = ours.preprocessing.size
    config = resolve_model_data_config(theirs)
    assert config["input_size"] == (ours.in_chans, *size)
    assert (config["mean"], config["std"]) == (ours.preprocessing.mean, ours.preprocessing.deviation)
    assert (config["interpolation"], config["crop_pct"]) == ("bilinear", 1.0)
    images = torch.rand(1, *config["input_size"])
    with torch.no_grad():
        assert torch.equal(theirs(images), ours(images))
    assert theirs.preprocessing == ours.preprocessing
    assert timm.create_model(name, num_classes=2)(images.repeat(2, 1, 1, 1)).shape == (2, 2)


def test_weights_are_adapted_as_ours_are(images):
    for options in ({"in_chans": 3, "num_classes": 0}, {"in_chans": 3, "global_pool": "regular"}):
        theirs, ours = timm.create_model(C4, pretrained=True, **options).eval(), eqmodels.load(C4, **options)
        assert torch.equal(theirs(images), ours(images))
    assert timm.create_model(TINY, pretrained=True).pretrained_cfg["tag"] == "rot_fmnist_simclr"


def test_the_transform_of_a_config_is_nearly_that_of_the_network():
    name = "c4_resnet18_w32.distil_lite0"
    model = timm.create_model(name, pretrained=True)
    picture = Image.effect_mandelbrot((150, 130), (-2, -1.5, 1, 1.5), 100).convert("RGB")
    theirs = create_transform(**resolve_model_data_config(model), is_training=False)(picture)
    ours = model.transform()(picture)
    assert theirs.shape == ours.shape
    assert (theirs - ours).abs().mean() < 0.05 * ours.std()


# Networks ------------------------------------------------------------------------------------------------------------


@each_family
@pytest.mark.parametrize("pool", [None, "avg", "max", "avgmax", "catavgmax", "fast"])
def test_features_before_the_classifier_have_the_size_that_is_said(name, pool, images):
    model = timm.create_model(name, num_classes=4, global_pool=pool).eval()
    maps = model.forward_features(images)
    features = model.forward_head(maps, pre_logits=True)
    assert features.shape == (2, model.head_hidden_size)
    assert maps.shape[1] == model.num_features == model.feature_info[-1]["num_chs"]
    assert model.forward_head(maps).shape == (2, 4)
    assert model.get_classifier(name_only=True) == "fc"
    model.reset_classifier(0)
    assert torch.equal(model(images), features)
    for nothing in ("", False):
        model.reset_classifier(0, nothing)
        assert torch.equal(model(images), maps)
    assert model.head_hidden_size == model.num_features
    assert timm.create_model(name, num_classes=0, global_pool="")(images).shape == maps.shape


@each_family
def test_a_fresh_classifier_has_the_place_the_type_and_the_mode_of_its_network(name):
    model = timm.create_model(name, device="meta", global_pool="", num_classes=0).double().eval()
    model.requires_grad_(False)
    model.reset_classifier(0, "catavgmax")
    model.set_input_size((48, 40))
    assert not any(value.requires_grad for value in model.parameters())
    model.reset_classifier(0, "")
    model.reset_classifier(2)
    assert {(value.device.type, value.dtype) for value in model.fc.parameters()} == {("meta", torch.float64)}
    assert not any(module.training for module in model.modules())
    assert model.global_pool.mode == "invariant", "classes are not told by maps"
    assert model(torch.empty(1, 3, 48, 40, device="meta", dtype=torch.float64)).shape == (1, 2)


@pytest.mark.parametrize("name", [TINY, "c8_resnet18s_w16"])
def test_numbers_may_become_of_another_type_after_use(name, images):
    model = timm.create_model(name, num_classes=2).eval()
    model(images)
    assert model.to(torch.bfloat16)(images.to(torch.bfloat16)).dtype == torch.bfloat16
    with pytest.raises(TypeError, match="has no option 'not_a_model_arg'"):
        timm.create_model(name, not_a_model_arg=1)


@each_family
def test_features_are_extracted_by_every_class(name, images):
    torch.manual_seed(0)
    whole = timm.create_model(name).eval()
    last, expected = whole.forward_intermediates(images, indices=(1, 3))
    assert torch.equal(last, whole.forward_features(images))
    for kind in ("list", "dict", "hook", "getter", "fx"):
        options = {"out_map": ["first", "second"]} if kind in ("dict", "hook") else {}
        chosen = {"out_indices": (1, 3), "feature_cls": kind, "feature_cfg": dict(options)}
        torch.manual_seed(0)
        model = timm.create_model(name, features_only=True, **chosen).eval()
        found = model(images)
        if isinstance(found, dict):
            assert list(found) == ["first", "second"]
        for one, other in zip(found.values() if isinstance(found, dict) else found, expected, strict=True):
            torch.testing.assert_close(one, other)
        assert model.feature_info.channels() == [whole.feature_info[1]["num_chs"], whole.feature_info[3]["num_chs"]]
        assert model.feature_info.reduction() == [whole.feature_info[index]["reduction"] for index in (1, 3)]


def test_intermediate_maps_are_those_of_the_stages(images):
    model = eqmodels.create_model(TINY).eval()
    maps, every = images, []
    for stage in model.stages:
        maps = getattr(model, stage)(maps)
        every.append(maps)
    info = FeatureInfo(model.feature_info, len(model.feature_info))
    assert [one.shape[1] for one in every] == info.channels()
    for indices, numbers in ((None, [0, 1, 2, 3, 4]), (2, [3, 4]), ([0, -2], [0, 3]), ((1,), [1])):
        found = model.forward_intermediates(images, indices, intermediates_only=True)
        assert all(torch.equal(one, every[number]) for one, number in zip(found, numbers, strict=True))
    stopped, _ = model.forward_intermediates(images, [1], stop_early=True)
    assert torch.equal(stopped, every[1])
    named = model.forward_intermediates(images, [1], output_dict=True)
    assert torch.equal(named["image_features"], every[4])
    assert torch.equal(named["image_intermediates"][0], every[1])


def test_what_no_map_needs_is_pruned(images):
    model = eqmodels.create_model("d4_wide_resnet16_8", width=8, restrict=("d4", "c4", "c1"), num_classes=3).eval()
    before = model.forward_intermediates(images, [1, 2], intermediates_only=True)
    assert model.prune_intermediate_layers([1, -3]) == [1, 2]
    assert [name for name, _ in model.named_children()] == ["stem", "layer1", "layer2", "global_pool", "fc"]
    assert model.num_features == model.head_hidden_size == before[1].shape[1]
    assert str(model.out_field) == "4 x regular(c4)"
    assert torch.equal(model(images), before[1])
    model.reset_classifier(2)
    assert str(model.out_field) == "2 x scalar"
    assert model(images).shape == (2, 2)
    whole = eqmodels.create_model(TINY, num_classes=3)
    assert whole.prune_intermediate_layers(1, prune_head=False) == [4]
    assert whole(images).shape == (2, 3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"indices": 6}, "^indices must be up to 5 stages from the end, or numbers .* from 0 to 4; got 6. Use None"),
        ({"indices": [5]}, r"^indices must be up to 5 stages .* got \[5\]"),
        ({"indices": []}, "^indices must be up to 5 stages"),
        ({"output_fmt": "NLC"}, "^output_fmt must be 'NCHW', .* got 'NLC'. Permute"),
    ],
    ids=str,
)
def test_what_is_no_stage_or_format_is_refused(arguments, sentence, images):
    with pytest.raises(ValueError, match=sentence):
        eqmodels.create_model(TINY).forward_intermediates(images, **arguments)


@each_family
@pytest.mark.parametrize("coarse", [False, True])
def test_every_parameter_is_of_the_group_of_its_layer(name, coarse):
    model = timm.create_model(name)
    groups = timm.models.group_parameters(model, model.group_matcher(coarse=coarse), reverse=True)
    assert groups.keys() == dict(model.named_parameters()).keys()
    assert groups["stem.conv.weight"] == 0
    assert groups["fc.weight"] == max(groups.values())
    first, second = groups["layer2.0.conv1.weight"], groups["layer2.1.conv1.weight"]
    assert first == second if coarse else first < second
    assert groups["layer1.0.conv1.weight"] < first <= second < groups["layer3.0.conv1.weight"]


def test_rates_of_learning_decay_with_the_depth():
    model = timm.create_model(TINY, num_classes=2)
    optimiser = create_optimizer_v2(model, opt="momentum", lr=1.0, weight_decay=0.0, layer_decay=0.5)
    CosineLRScheduler(optimiser, t_initial=10)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    moved = {name: float((before[name] - value.detach()).mean()) for name, value in model.named_parameters()}
    assert moved["fc.weight"] == pytest.approx(1.0)
    assert moved["layer4.1.conv2.weight"] == pytest.approx(0.5, rel=1e-3)
    assert moved["layer4.0.conv2.weight"] == pytest.approx(0.25, rel=1e-3)
    assert moved["stem.conv.weight"] == pytest.approx(0.5**9, rel=1e-2)


def test_scales_and_shifts_do_not_decay():
    model = timm.create_model(TINY, num_classes=2)
    optimiser = create_optimizer_v2(model, opt="adamw", lr=1.0, weight_decay=0.1)
    still = {id(value) for group in optimiser.param_groups if not group["weight_decay"] for value in group["params"]}
    assert {name for name, value in model.named_parameters() if id(value) in still} == {
        name for name, _ in model.named_parameters() if ".bn" in name or ".1.bn." in name or name == "fc.bias"
    }
    assert model.no_weight_decay() == set()


def test_sizes_frozen_stages_and_recomputed_ones(images):
    model = timm.create_model(TINY, num_classes=2)
    model.set_input_size(40)
    assert resolve_model_data_config(model)["input_size"] == (3, 40, 40)
    assert resolve_model_data_config(timm.create_model(TINY, img_size=(48, 40)))["input_size"] == (3, 48, 40)
    freeze(model, ["stem", "layer1"])
    model.set_grad_checkpointing()
    mean = model.layer1[0].bn1.bn.running_mean.clone()
    model.train()(images).sum().backward()
    assert model.stem.conv.weight.grad is None
    assert torch.equal(model.layer1[0].bn1.bn.running_mean, mean)
    assert model.layer2[0].conv1.weight.grad.abs().sum() > 0
    _, found = model.forward_intermediates(images)
    assert len(found) == 5


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_the_older_export_of_timm_is_exact_at_every_size(tmp_path):
    model = eqmodels.create_model("c4_resnet18_w4", num_classes=2).eval()
    file = str(tmp_path / "model.onnx")
    onnx_export(model, file, input_size=(3, 20, 20), batch_size=2, dynamic_size=True, check_forward=True)
    session = InferenceSession(file, providers=["CPUExecutionProvider"])
    for height, width in ((20, 20), (33, 26), (17, 40)):
        images = torch.rand(3, 3, height, width)
        (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(found), model(images), rtol=1e-4, atol=1e-5)


# Files ---------------------------------------------------------------------------------------------------------------


def test_what_timm_saves_it_loads_again(tmp_path, images):
    options = {"num_classes": 3, "in_chans": 3, "output_stride": 4, "global_pool": "catavgmax"}
    model = timm.create_model(C4, pretrained=True, **options).eval()
    save_for_hf(model, tmp_path)
    again = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    assert torch.equal(again(images), model(images))
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["architecture"], config["num_features"], config["global_pool"]) == (TINY, 128, "catavgmax")


def test_what_we_save_timm_loads_and_older_files_stay_what_they_were(tmp_path, images):
    ours = eqmodels.load(C4, in_chans=3, num_classes=4, global_pool="invariant")
    ours.save_pretrained(tmp_path)
    theirs = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    assert torch.equal(theirs(images), ours(images))
    assert theirs.pretrained_cfg["pool_size"] == (4, 4)
    file = tmp_path / "config.json"
    config = json.loads(file.read_text())
    assert config["num_features"] == 128
    assert "output_stride" not in config["model_args"]
    file.write_text(json.dumps({**config, "num_features": 32}))  # as files said before: the length of pooled features
    assert torch.equal(eqmodels.load(tmp_path)(images), ours(images))
    dilated = eqmodels.create_model(TINY, output_stride=4, num_classes=0)
    dilated.save_pretrained(tmp_path / "dilated")
    assert torch.equal(eqmodels.load(tmp_path / "dilated")(images), dilated.eval()(images))


def test_weights_of_another_network_are_refused(tmp_path):
    eqmodels.load(C4).save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "architecture": "d4_resnet18s_w16"}))
    with pytest.raises(StorageError, match=r"the file holds the weights of another network: '.*' is missing or of an"):
        timm.create_model(f"local-dir:{tmp_path}", pretrained=True)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("c4_resnet18s_w64", {"pretrained": True}, "^'c4_resnet18s_w64' has no weights in the zoo; .*pretrained=False"),
        (TINY, {"drop_block_rate": 0.1}, "^drop_block_rate drops squares .* got 0.1. Use drop_rate"),
        (TINY, {"global_pool": "sum"}, "^global_pool must be one of invariant"),
        (TINY, {"img_size": (1, 2, 3)}, "^img_size must be one number or two"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_a_sentence(name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        timm.create_model(name, **options)
    assert timm.create_model(TINY, drop_block_rate=0.0, drop_rate=0.0).drop_rate == 0.0


def test_a_script_of_timm_knows_the_names(tmp_path, monkeypatch, capsys):
    script = tmp_path / "train.py"
    script.write_text("import sys, timm\nprint(__name__, timm.is_model('c4_resnet18s_w16'), sys.argv, sys.path[0])")
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    monkeypatch.setattr("sys.argv", ["eqmodels.timm", str(script), "--model", TINY])
    eqmodels.timm._run()
    assert capsys.readouterr().out.split("'")[1] == str(script)
    monkeypatch.setattr("sys.argv", ["eqmodels.timm", "none.py"])
    with pytest.raises(SystemExit, match=r"^the first word must be the path of a script; got none.py\. Use"):
        eqmodels.timm._run()
