"""``eqmodels finetune`` and ``eqmodels predict`` on a folder of pictures."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
import torch
from PIL import Image

from eqmodels import create_model, load
from eqmodels.cli import main
from eqmodels.data.pictures import BadFilesError
from eqmodels.evaluation import predict
from eqmodels.transforms import Preprocessing
from tests.data.test_folder import save


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures of two classes, a network of one channel, and the classifier that the command makes of it."""
    root = tmp_path_factory.mktemp("commands")
    for number in range(12):
        name, split = ("cat", "dog")[number % 2], "test" if number < 4 else "train"
        save(root / f"mine/{split}/{name}/{number}.png", size=(12 + number, 10), seed=number)
    torch.manual_seed(0)
    encoder = create_model("c4_resnet18s_w4", num_classes=0, in_chans=1)
    encoder.preprocessing = Preprocessing((0.5,), (0.25,), (8, 8))
    encoder.save_pretrained(root / "encoder")
    return root


@pytest.fixture(scope="module")
def classifier(folder):
    options = ["--epochs", "1", "--folder", str(folder / "classifier"), "--size", "9", "--quiet"]
    assert main(["finetune", str(folder / "encoder"), str(folder / "mine"), *options]) == 0
    return folder / "classifier"


def test_the_command_says_what_it_came_to(folder, classifier, capsys):
    options = ["--epochs", "1", "--folder", str(classifier), "--size", "9"]
    assert main(["finetune", str(folder / "encoder"), str(folder / "mine"), *options]) == 0
    printed, said = capsys.readouterr()
    assert "6 images of 2 classes" in printed
    assert f"Next: eqmodels predict {classifier} IMAGES --out predictions.csv" in printed
    assert "has 3 channels" in said
    assert "its first filters are adapted; with --grey the colours are left out instead" in said
    assert "step/s" not in said  # no bar: nobody looks
    assert main(["finetune", str(folder / "encoder"), str(folder / "mine"), *options, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["classes"] == ["cat", "dog"]
    assert told["test"]["images"] == 4
    page = (classifier / "index.html").read_text()
    assert "What is taken for what" in page
    assert "Accuracy on the validation images after each epoch" in page
    assert page.count("<tr><td>0</td>") == 1  # the linear probe, in the table of epochs
    assert page.count("<figcaption>") == len(told["test"]["mistakes"])
    assert "src=" not in page.replace('src="data:', "")  # it needs no other file
    card = (classifier / "README.md").read_text()
    assert "pipeline_tag: image-classification" in card
    assert "Its 2 classes: cat, dog." in card


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "a folder of IMAGES or --data NAME; got neither"),
        (["mine", "--data", "fashion_mnist_mini"], "got both"),
        (["mine", "--batch-size", "1"], "--batch-size must be"),
        (["mine/train/cat"], "needs a class of every image"),
    ],
)
def test_what_is_missing_is_one_sentence(folder, capsys, monkeypatch, arguments, sentence):
    monkeypatch.chdir(folder)
    assert main(["finetune", "encoder", *arguments]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said


def test_pictures_get_the_classes_of_the_network_in_every_batch(folder, classifier, tmp_path, capsys):
    paths = sorted((folder / "mine/test").rglob("*.png"))
    network = load(classifier)
    transform = network.transform()
    with torch.no_grad():
        expected = network(torch.stack([transform(Image.open(path)) for path in paths])).softmax(1)
    for batch_size in (1, 3):
        found = predict(network, paths, top=9, batch_size=batch_size)
        assert found.labels.shape == (4, 2)  # no more than there are
        torch.testing.assert_close(found.probabilities, expected.sort(1, descending=True).values, rtol=0, atol=1e-5)
        assert found.labels[:, 0].tolist() == expected.argmax(1).tolist()
    out = tmp_path / "predictions"
    assert main(["predict", str(classifier), str(folder / "mine/test"), "--out", f"{out}.csv", "--top", "2"]) == 0
    assert "predictions.csv: 4 images: " in capsys.readouterr().out
    with open(f"{out}.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["path", "class", "probability", "class_2", "probability_2"]
    names = [network.classes[label] for label in expected.argmax(1).tolist()]
    assert [(row["path"], row["class"]) for row in rows] == list(zip(map(str, paths), names, strict=True))
    assert main(["predict", str(classifier), *map(str, paths), "--out", f"{out}.json", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert sum(told["classes"].values()) == told["images"] == 4
    content = json.loads((tmp_path / "predictions.json").read_text())
    assert [row["class"] for row in content] == names
    assert all(row["top"] == [{"class": row["class"], "probability": row["probability"]}] for row in content)


def test_a_turned_picture_has_the_same_class(folder, classifier, tmp_path):
    paths = sorted((folder / "mine").rglob("*.png"))
    turned = []
    for path in paths:
        turned.append(tmp_path / path.name)
        Image.open(path).transpose(Image.Transpose.ROTATE_90).save(turned[-1])
    network = load(classifier)
    upright, moved = predict(network, paths, top=2), predict(network, turned, top=2)
    assert torch.equal(upright.labels, moved.labels)
    torch.testing.assert_close(upright.probabilities, moved.probabilities, rtol=0, atol=1e-4)


def test_bad_files_are_listed_or_left_out(folder, classifier, tmp_path, capsys):
    save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("no picture")
    command = ["predict", str(classifier), str(tmp_path), "--out", str(tmp_path / "found.csv")]
    assert main(command) == 2
    assert "1 of 2 files cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "found.csv").exists()
    assert main([*command, "--skip-bad"]) == 0
    assert "left out: " in capsys.readouterr().err
    with pytest.raises(BadFilesError):
        predict(load(classifier), [tmp_path / "bad.png"], skip_bad=True)


def test_a_network_without_a_classifier_or_another_ending_is_refused(folder, classifier, tmp_path, capsys):
    image = str(folder / "mine/test/cat/0.png")
    assert main(["predict", str(folder / "encoder"), image, "--out", str(tmp_path / "a.csv")]) == 2
    assert "eqmodels finetune" in capsys.readouterr().err
    assert main(["predict", str(classifier), image, "--out", str(tmp_path / "a.txt")]) == 2
    assert ".csv or .json; got a.txt" in capsys.readouterr().err


def test_channels_are_those_of_the_classifier(folder, classifier, tmp_path, capsys):
    command = ["predict", str(classifier), str(folder / "mine/test/cat/0.png"), "--out", str(tmp_path / "a.csv")]
    channels = load(classifier).in_chans
    assert main([*command, "--channels", str(channels)]) == 0
    assert main([*command, "--channels", "13"]) == 2
    assert f"what the classifier was trained on, {channels}; got 13" in capsys.readouterr().err


def test_images_of_val_are_those_to_choose_on(folder, tmp_path, capsys):
    for number in range(6):
        name, split = ("cat", "dog")[number % 2], ("train", "val", "test")[number // 2]
        save(tmp_path / f"mine/{split}/{name}/{number}.png", size=(12, 10), seed=number)

    def told(images, out, *options):
        command = ["finetune", str(folder / "encoder"), str(images), "--folder", str(tmp_path / out)]
        assert main([*command, "--epochs", "0", "--quiet", *options]) == 0
        return capsys.readouterr().out

    assert "On 2 validation images: " in told(tmp_path / "mine", "a")
    rows = [f"{path.relative_to(tmp_path)},{path.parent.name},a,{path.parts[-3]}" for path in tmp_path.rglob("*.png")]
    (tmp_path / "mine.csv").write_text("\n".join(["path,species,stage,split", *rows]))
    found = json.loads(told(tmp_path / "mine.csv", "b", "--json", "--label-column", "species,stage"))
    assert (found["classes"], found["images"]) == (["cat / a", "dog / a"], {"training": 2, "validation": 2})
    (tmp_path / "mine/test").rename(tmp_path / "mine/train/test")
    for path in (tmp_path / "mine/train/test").rglob("*.png"):
        path.rename(tmp_path / "mine/train" / path.parent.name / path.name)
    shutil.rmtree(tmp_path / "mine/train/test")
    printed = told(tmp_path / "mine", "c")
    assert "On 2 validation images: " in printed
    assert "All test images are validation images" in printed
    assert "On 2 of the training images, which were held out: " in told(tmp_path / "mine", "d", "--validation", "0.5")
