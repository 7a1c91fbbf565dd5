"""A user's file of two stages: everything that takes a name, or a network, takes it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
import torch
from torchvision.transforms.functional import to_pil_image

from eqmodels import Encoder, EqmodelsError, create_model, list_models, load
from eqmodels.backbones import with_channels
from eqmodels.data import LabelledImages
from eqmodels.evaluation import assert_equivariant, evaluate
from eqmodels.export import to_onnx, to_plain
from eqmodels.hub import load_pretrained, verify
from eqmodels.hub.publishing import publish
from eqmodels.training import PretrainConfig, pretrain
from eqmodels.transforms import Preprocessing
from tests.registering import forgotten

EXAMPLES = Path(__file__).parents[2] / "examples"
FILE = EXAMPLES / "own_backbone.py"
QUICK = ["--kind", "regular", "--quick", "--json"]
NAME = "c4_two_stage_w16"


@pytest.fixture(scope="module", autouse=True)
def _imported(registries):
    with forgotten(registries):
        for name in ("own_backbone", "own_objective"):
            spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
        yield
    del sys.modules["own_backbone"], sys.modules["own_objective"]


def network(**options):
    torch.manual_seed(0)
    model = create_model(NAME, num_classes=3, in_chans=1, **options)
    model.preprocessing = Preprocessing((0.5,), (0.25,), (20, 20))
    return model.eval()


def test_the_file_is_short():
    lines = [line for line in FILE.read_text().split('"""')[2].splitlines() if line.strip()]
    assert len(lines) <= 40


def test_its_name_builds_it():
    model = network()
    assert type(model).__name__ == "TwoStage"
    assert model.stages == ("stem", "layer1")
    assert str(model.map_field) == "8 x regular(c4)"
    assert isinstance(model, Encoder)
    assert "d4_two_stage" in list_models("d4_*")
    assert create_model("d4_two_stage_w32").group.name == "d4"


@pytest.mark.parametrize(
    ("mode", "classes"),
    [("invariant", 3), ("canonical", 3), ("regular", 0), ("invariant+regular", 0), ("canonical-soft", 0)],
)
def test_it_keeps_the_laws(mode, classes):
    model = network(global_pool=mode)
    model.reset_classifier(classes)
    assert_equivariant(model, size=20, tolerance=1e-10)


def test_it_is_saved_loaded_and_verified(tmp_path):
    model, images = network(), torch.rand(2, 1, 20, 20)
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["architecture"] == NAME
    again = load(tmp_path)
    assert torch.equal(again(images), model(images))
    assert again.describe_output() == model.describe_output()
    report = verify(tmp_path)
    assert report.passed, report.first_failure
    assert load(tmp_path, num_classes=7, in_chans=2).eval()(torch.rand(1, 2, 20, 20)).shape == (1, 7)
    assert torch.equal(type(model).from_pretrained(tmp_path)(images), model(images))


def photos(count):
    generator = torch.Generator().manual_seed(count)
    images = torch.rand(count, 1, 20, 20, generator=generator).mul(255).to(torch.uint8)
    return LabelledImages("photos", images, torch.arange(count) % 2, ("even", "odd"))


def test_it_is_pretrained_and_evaluated(tmp_path):
    """By the API: a run of it is a network like every other."""
    config = PretrainConfig.of(model=NAME, head_hidden=8, augment="none", epochs=1, batch_size=8, precision="float32")
    pretrain(config, tmp_path, data=photos(32), quiet=True)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert (saved["architecture"], saved["map_field"]) == (NAME, "8 x regular(c4)")
    run = load_pretrained(tmp_path)
    assert_equivariant(run.encoder("canonical"), size=20, tolerance=1e-10, randomised=False)
    encoder, images = load(tmp_path), torch.rand(2, 1, 20, 20)
    assert torch.equal(encoder(images), run.encoder("canonical")(images))
    for measured in (run, encoder):
        scores = evaluate(measured, photos(24), photos(16), fractions=(), curve_images=0, strengths=(1e-2,), knn=False)
        assert all(0 <= kind.accuracy <= 1 for kind in scores.kinds)
    report = verify(tmp_path)
    assert report.passed, report.first_failure


@pytest.mark.parametrize("values", [{"objective": "contrastive", "width": 8}, {"head": "linear"}], ids=str)
def test_a_run_without_a_pose_is_loaded_measured_verified_and_published(tmp_path, values):
    """Its class takes no option of pooling, and that of the run is the default, which its file need not name."""
    parts = PretrainConfig.of(model=NAME, augment="none", epochs=1, batch_size=8, precision="float32")
    config = parts.replaced(**values)
    pretrain(config, tmp_path, data=photos(32), quiet=True)
    assert "global_pool" not in json.loads((tmp_path / "config.json").read_text())["model_args"]
    encoder, run, images = load(tmp_path), load_pretrained(tmp_path), torch.rand(2, 1, 20, 20)
    assert encoder.global_pool.mode == "invariant"
    assert torch.equal(encoder(images), run.encoder()(images))
    assert load(tmp_path, global_pool="regular").global_pool.mode == "regular"
    scores = evaluate(run, photos(24), photos(16), fractions=(), curve_images=8, strengths=(1e-2,), knn=False)
    (tmp_path / "results.json").write_text(json.dumps({"evaluation": scores.to_dict()}))
    report = verify(tmp_path)
    assert report.passed, report.first_failure
    assert "README.md" in publish(tmp_path, "org/network", dry_run=True, license_name="mit").files


def command(*arguments):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    found = subprocess.run(
        [sys.executable, "-m", "eqmodels", *arguments], capture_output=True, text=True, env=environment, check=False
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


@pytest.mark.slow  # each time the command line pretrains with objectives, tasks and layers of examples
def test_the_command_line_pretrains_and_evaluates_it(tmp_path):
    for split, count in (("train", 32), ("test", 16)):
        data = photos(count)
        for number, (image, label) in enumerate(zip(data.images, data.labels.tolist(), strict=True)):
            file = tmp_path / "photos" / split / data.classes[label] / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            to_pil_image(image).save(file)
    own = ["--root", str(tmp_path / "photos")]
    few = ["--data", "image_folder", "--size", "20", "--batch-size", "16", "--epochs", "1", "--precision", "float32"]
    folder = ["--head-hidden", "16", "--folder", str(tmp_path / "run")]
    out = command("pretrain", "--import", str(FILE), "--model", NAME, *own, *few, *folder, "--quiet", "--json")
    assert out["config"]["model"]["name"] == NAME
    arguments = ["evaluate", "--import", str(FILE), str(tmp_path / "run"), *own, *QUICK]
    assert command(*arguments)["model"] == NAME


def test_it_is_refused_where_its_file_is_not_imported(tmp_path):
    network().save_pretrained(tmp_path)
    code = (
        "import sys, eqmodels\n"
        "try:\n    eqmodels.load(sys.argv[1])\n"
        "except eqmodels.EqmodelsError as error:\n    print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "describes no network: no model is named 'c4_two_stage_w16'" in found.stdout
    assert "Nothing was built" in found.stdout


def test_it_is_adapted_to_other_channels():
    model, images = network(), torch.rand(2, 1, 20, 20)
    torch.testing.assert_close(
        with_channels(model, 3)(images.expand(-1, 3, -1, -1)), model(images), rtol=1e-4, atol=1e-5
    )


@pytest.mark.tracing
def test_it_becomes_stock_modules():
    model, images = network(), torch.rand(2, 1, 20, 20)
    plain = to_plain(model, size=20)
    assert [name for name, _ in plain.named_children()] == ["stem", "layer1", "global_pool", "fc"]
    torch.testing.assert_close(plain(images), model(images), rtol=1e-4, atol=1e-5)
    assert all(type(module).__module__.startswith("torch.") for module in plain.modules())


@pytest.mark.tracing
def test_it_becomes_an_onnx_file(tmp_path):
    model, images = network(), torch.rand(2, 1, 20, 20)
    session = onnxruntime.InferenceSession(str(to_onnx(model, tmp_path / "net.onnx", size=20)))
    (found,) = session.run(None, {"images": images.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), model(images).detach(), rtol=1e-3, atol=1e-4)


def test_an_option_that_it_does_not_have_is_refused(tmp_path):
    network().save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    file.write_text(file.read_text().replace('"in_chans"', '"depth": 3, "in_chans"'))
    with pytest.raises(EqmodelsError, match="has no option 'depth'"):
        load(tmp_path)
