"""What goes wrong is said in one sentence, and the last good checkpoint is intact."""

from __future__ import annotations

import pickle
import re
import shutil
from pathlib import Path

import pytest
import torch
from torchvision.transforms.functional import to_pil_image

from eqmodels.data import LabelledImages
from eqmodels.errors import EqmodelsError
from eqmodels.storage import claimed_folder
from eqmodels.training import Pretraining, TrainingError, load_unfinished, loop, pretrain
from tests.training.runs import finish, photos, start, tiny, weights


def trained(config, folder, **options):
    return pretrain(config, folder, **{"data": photos(), "device": "cpu", "quiet": True, **options})


def fails(config, folder, sentence, error=EqmodelsError, **options):
    """Asserts that a run ends with one sentence."""
    with pytest.raises(error, match=sentence) as caught:
        trained(config, folder, **options)
    assert "\n" not in str(caught.value)


STOPPED = tiny(epochs=2)


@pytest.fixture(scope="module")
def stopped_run(tmp_path_factory):
    """The folder of a run that was stopped in its second epoch, for copying only."""
    folder, step = tmp_path_factory.mktemp("stopped") / "run", Pretraining.step

    def interrupted(run):
        if (run.progress.epoch, run.progress.step) == (1, 2):
            raise KeyboardInterrupt
        step(run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pretraining, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            trained(STOPPED, folder, checkpoint_seconds=0.0)
    return folder


@pytest.fixture
def stopped(stopped_run, tmp_path):
    """A copy of that folder, and its config."""
    return shutil.copytree(stopped_run, tmp_path / "run"), STOPPED


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The weights of the same run if nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed")
    trained(STOPPED, folder)
    return weights(folder)


def alone(folder):
    """The last checkpoint, without the one before it."""
    (folder / "checkpoint.previous.pt").unlink()
    return folder / "checkpoint.pt"


def assert_goes_on(folder, config, undisturbed):
    """Asserts that the checkpoint of a folder is good: the run ends with the weights of an undisturbed one."""
    trained(config, folder)
    assert weights(folder) == undisturbed


# Loss and gradients.


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_finite_weights(tmp_path):
    config = tiny(learning_rate=4e9, warmup_epochs=0.0)
    fails(config, tmp_path, r"^(in epoch \d, step \d.* became no finite number|.* are no finite numbers any more)")
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert all(value.isfinite().all() for value in content["model"].values())
    assert not (tmp_path / "config.json").exists()


@pytest.mark.parametrize("where", ["weight", "gradient"])
def test_weights_are_left_alone_by_a_step_that_is_no_number(where):
    run = Pretraining(tiny(), photos())
    run.network.train()
    run.step()
    parameter = next(run.objective.heads.parameters())
    if where == "weight":
        with torch.no_grad():
            parameter.fill_(float("inf"))
    else:  # the loss is a number
        parameter.register_hook(lambda gradient: gradient * float("nan"))
    before = [value.clone() for value in run.model.parameters()]
    with pytest.raises(TrainingError, match=r"^in epoch 1, step 2, at the learning rate 0.008, the loss \("):
        run.step()
    assert all(torch.equal(a, b) for a, b in zip(before, run.model.parameters(), strict=True))


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    run = Pretraining(tiny(), photos())
    run.save(tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with torch.no_grad():
        run.model.backbone.stem.conv.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"^backbone.stem.conv.weight and 0 other tensors .* were not saved"):
        run.save(tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


# Data.


def test_fewer_images_than_a_batch_are_refused(tmp_path):
    sentence = "^a step needs batch_size=8 images; photos has 7. Pass batch_size=7, or use another data set.$"
    fails(tiny(), tmp_path, sentence, ValueError, data=photos(7))
    sentence = "^a step needs batch_size=8 images; photos has 7. Pass batch_size=4, or use another data set.$"
    fails(tiny(accumulate=4), tmp_path, sentence, ValueError, data=photos(7))
    sentence = "^a step needs batch_size=8 images; photos has 3. Collect more, or use another data set.$"
    fails(tiny(accumulate=4), tmp_path, sentence, ValueError, data=photos(3))


ALONE = {"head": "mlp", "augment": "none", "epochs": 1, "channels_last": False}


@pytest.mark.parametrize("model", ["resnet18s_w4", "c1_resnet18s_w4"])
@pytest.mark.parametrize("parts", [1, 2])
def test_batch_statistics_of_a_single_value_are_refused(tmp_path, model, parts):
    sentence = (
        f"^batch normalisation needs more than one value of a channel; model='{model}' makes one pixel of 8x8, and "
        f"batch_size={parts} is one image at a time of processes x accumulate, 1 x {parts}. Pass "
        f"batch_size={2 * parts}, or larger images.$"
    )
    config = tiny(**ALONE, model=model, batch_size=parts, accumulate=parts)
    fails(config, tmp_path / "run", sentence, ValueError, data=photos(4, size=8))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({"model": "resnet18s_w4", "batch_size": 4, "accumulate": 2}, 8),
        ({"model": "resnet18s_w4"}, 9),
        ({"model": "c1_resnet18s_w4"}, 9),
        ({"model": "c1_resnet18s_w4", "norm": "layer"}, 8),
        ({"model": "c2_resnet18s_w4"}, 8),
    ],
)
def test_two_values_of_a_channel_are_enough(tmp_path, changes, size):
    # PyTorch 2.14's channels-last kernels crash on maps of one pixel.
    config = tiny(**{**ALONE, "batch_size": 1, "channels_last": False, **changes})
    assert len(trained(config, tmp_path, data=photos(4, size=size)).log) == 1


@pytest.mark.parametrize(
    ("changes", "data", "rule"),
    [
        ({"head_hidden": 1_000_004}, photos(), "numbers must be at most 1000000.*"),
        ({"task": "rotation2", "head": "mlp"}, photos(8, size=(4, 2052)), "2052 is greater than the maximum of 2048"),
    ],
)
def test_what_could_not_be_saved_is_not_trained(tmp_path, monkeypatch, changes, data, rule):
    monkeypatch.setattr(Pretraining, "step", None)
    sentence = (
        rf"^this run could not be saved when it is done, and was not started: config.json would break .* {rule}\."
    )
    fails(tiny(**changes), tmp_path / "run", sentence, TrainingError, data=data)
    assert not (tmp_path / "run").exists()


def test_no_images_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^photos has no images; got 0."):
        LabelledImages("photos", torch.zeros(0, 1, 12, 12, dtype=torch.uint8), torch.zeros(0).long(), ("a",))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model": "c4_resnet19"}, "^no model is named 'c4_resnet19'; the nearest names are "),
        ({"task": "rotate"}, "^task must be one of"),
        ({"head_hidden": 3}, "^head_hidden must be at least 4; got 3. Pass a whole number of at least 4.$"),
        ({"task": "jigsaw"}, "^an equivariant head predicts an element of a planar group"),
        ({"model": "resnet18s_w8"}, "^an equivariant head needs a backbone whose group contains"),
        ({"task": "dihedral", "augment": "none"}, "^an equivariant head needs a backbone whose group contains"),
        ({"task": "grayscale", "head": "mlp"}, "^grayscale is a task about colour and needs images of 3 channels"),
    ],
)
def test_a_config_that_does_not_fit_is_refused_and_nothing_is_left(tmp_path, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        trained(tiny(**changes), tmp_path / "of" / "a run")
    assert not any(tmp_path.iterdir())


def test_a_standard_network_has_no_layer_norm():
    with pytest.raises(TypeError, match=r"^a pretraining of resnet18s_w8, prediction has no 'norm'; it has "):
        tiny(model="resnet18s_w8", head="mlp", norm="layer")


# Files.


@pytest.mark.parametrize("part", [0.0, 0.3, 0.99])
def test_a_full_disk_leaves_the_last_checkpoint_from_which_the_run_goes_on(stopped, undisturbed, tmp_path, part):
    folder, config = stopped
    before = (folder / "checkpoint.pt").read_bytes()
    log = (folder / "log.csv").read_text()
    most = max(int(part * len(before)), 200)
    assert finish(start(folder, config, checkpoint_seconds=0.0, most_bytes=most)) == 3
    sentence = (tmp_path / "error").read_text()
    assert sentence.startswith(
        f"{folder}/checkpoint.pt could not be written (File too large); the one from before"[:200]
    )
    assert (folder / "checkpoint.pt").read_bytes() == before
    assert (folder / "log.csv").read_text() == log
    assert not list(folder.glob(".*"))
    assert_goes_on(folder, config, undisturbed)


@pytest.mark.parametrize("folder", ["file", "file/run", "/proc/nothing/here"])
def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_trained(tmp_path, monkeypatch, folder):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(Pretraining, "step", None)
    sentence = f"^files are to be written into {re.escape(str(tmp_path / folder))}, which cannot be done "
    fails(tiny(), tmp_path / folder, sentence)
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_folder_in_which_another_process_trains_is_refused_and_left_alone(stopped, undisturbed):
    folder, config = stopped
    before = (folder / "checkpoint.pt").read_bytes()
    with claimed_folder(folder):
        fails(config, folder, f"^another process trains in {re.escape(str(folder))}. Wait until it is done")
    assert (folder / "checkpoint.pt").read_bytes() == before
    assert_goes_on(folder, config, undisturbed)


def test_a_checkpoint_of_another_config_is_refused_and_kept(stopped, undisturbed):
    folder, config = stopped
    before = (folder / "checkpoint.pt").read_bytes()
    sentence = (
        "checkpoint.pt belongs to another run: model='c4_resnet18s_w4' there and 'd4_resnet18s_w8' here, seed=0 there "
        "and 1 here. Nothing was changed; choose another folder"
    )
    fails(tiny(epochs=2, model="d4_resnet18s_w8", seed=1), folder, sentence)
    assert (folder / "checkpoint.pt").read_bytes() == before
    assert_goes_on(folder, config, undisturbed)


@pytest.mark.parametrize(
    ("data", "name"),
    [(photos(channels=3), "mean"), (photos(size=14), "size"), (photos(32), "number"), (photos(41), "number")],
    ids=["colours", "size", "fewer", "more"],
)
def test_a_checkpoint_on_other_images_is_refused_and_kept(stopped, undisturbed, data, name):
    folder, config = stopped
    fails(config, folder, f"checkpoint.pt belongs to another run: .*images' {name}=", data=data)
    assert_goes_on(folder, config, undisturbed)


def test_a_checkpoint_from_before_images_were_noted_is_good(stopped, undisturbed):
    folder, config = stopped
    content = torch.load(folder / "checkpoint.pt", weights_only=True)
    del content["images"]
    torch.save(content, folder / "checkpoint.pt")
    assert_goes_on(folder, config, undisturbed)


def test_a_checkpoint_whose_tensors_do_not_fit_is_refused_and_kept(stopped, undisturbed):
    folder, config = stopped
    content = torch.load(folder / "checkpoint.pt", weights_only=True)
    momentum = content["optimiser"]["state"]
    shaped = {number: {"momentum_buffer": torch.zeros(1)} for number in momentum}
    for change in ({"model": {"nothing": torch.zeros(1)}}, {"optimiser": {**content["optimiser"], "state": shaped}}):
        torch.save({**content, **change}, folder / "checkpoint.pt")
        fails(config, folder, r"^the checkpoint belongs to another network \(.*\)\. Nothing was changed; ")
    torch.save(content, folder / "checkpoint.pt")
    assert_goes_on(folder, config, undisturbed)


MISSING = object()


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        ("progress", MISSING, "it has no progress, which must be values by name"),
        ("progress.epoch", MISSING, "it has no progress.epoch, which must be a whole number of at least 0"),
        ("progress.step", -1, "its progress.step must be a whole number of at least 0; it is -1"),
        ("progress.epoch", 1.5, "its progress.epoch must be a whole number"),
        ("progress.seconds", float("nan"), "its progress.seconds must be a finite number; it is nan"),
        ("progress.log", None, "its progress.log must be a list of rows of finite numbers; it is None"),
        ("progress.log", [{"loss": "low"}], "its progress.log must be a list of rows"),
        ("progress.log", [{"loss": 1.0}] * 3, "its progress.log must have a row for each of . epochs; it has 3"),
        ("progress.counts.seen", MISSING, "it has no progress.counts.seen"),
        ("progress.counts.losses", [1.0], "its progress.counts.losses must be finite numbers by name"),
        ("images", None, "its images must be values by name; it is None"),
        ("teachers", {"a": 1}, "its teachers must be tensors by name, by place"),
        ("model", None, "its model must be tensors by name; it is None"),
        ("optimiser", None, "its optimiser must be the state and the groups of an optimiser; it is None"),
        ("optimiser.state", [], "its optimiser must be the state and the groups"),
        ("random_state", MISSING, "it has no random_state"),
    ],
)
def test_a_checkpoint_with_a_part_that_is_missing_or_odd_is_refused(untouched, tmp_path, place, value, sentence):
    with pytest.raises(TrainingError, match=rf"is no whole checkpoint: {sentence}.*\. Delete it to start"):
        load_unfinished(without(untouched, place, value, tmp_path))


def test_a_run_does_not_go_on_from_a_checkpoint_that_is_not_whole(untouched, tmp_path):
    file = without(untouched, "progress.epoch", MISSING, tmp_path)
    before = file.read_bytes()
    fails(tiny(), tmp_path, r"checkpoint.pt is no whole checkpoint: it has no progress\.epoch, .*\.$")
    assert file.read_bytes() == before


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    """The checkpoint of a run before its first step."""
    folder = tmp_path_factory.mktemp("run")
    Pretraining(tiny(), photos()).save(folder)
    return folder / "checkpoint.pt"


def without(checkpoint: Path, place: str, value: object, folder: Path) -> Path:
    """A copy with another value at a place, or with none."""
    content = inner = torch.load(checkpoint, weights_only=True)
    *parents, name = place.split(".")
    for parent in parents:
        inner = inner[parent]
    inner[name] = value
    if value is MISSING:
        del inner[name]
    torch.save(content, folder / "checkpoint.pt")
    return folder / "checkpoint.pt"


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.999])
def test_a_truncated_checkpoint_is_refused(stopped, part):
    folder, config = stopped
    whole = alone(folder).read_bytes()
    (folder / "checkpoint.pt").write_bytes(whole[: int(part * len(whole))])
    fails(config, folder, r"checkpoint.pt cannot be read \(.+\). Delete it to start the run again.$")


@pytest.mark.parametrize("part", ["weights", "momentum"])
def test_a_checkpoint_with_a_bit_that_flipped_is_refused(stopped, part):
    folder, config = stopped
    content = torch.load(folder / "checkpoint.pt", weights_only=True)
    damaged = content["model"]["backbone.stem.conv.weight"]
    if part == "momentum":
        damaged = content["optimiser"]["state"][0]["momentum_buffer"]
    raw = bytearray(alone(folder).read_bytes())
    raw[raw.index(damaged.numpy().tobytes()) + 5] ^= 16
    (folder / "checkpoint.pt").write_bytes(raw)
    fails(config, folder, r"checkpoint.pt cannot be read \(.+\). Delete it to start the run again.$")


@pytest.mark.parametrize(
    "garbage", [b"nonsense", b"\x80\x02}q\x00.", b"PK\x03\x04" + bytes(100), b"\x80\x04N.", bytes(1000)]
)
def test_a_checkpoint_that_is_garbage_is_refused(stopped, garbage):
    folder, config = stopped
    alone(folder).write_bytes(garbage)
    fails(config, folder, r"checkpoint.pt (cannot be read|is no checkpoint)")


def test_a_checkpoint_cannot_run_code(stopped, tmp_path):
    folder, config = stopped

    class Malicious:
        def __reduce__(self):
            return Path.touch, (tmp_path / "owned",)

    torch.save({"format": 1, "config": Malicious()}, folder / "checkpoint.pt")
    fails(config, folder, r"checkpoint.pt cannot be read")
    alone(folder).write_bytes(pickle.dumps(Malicious()))
    fails(config, folder, r"checkpoint.pt cannot be read")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [{"a": 1}, {"format": 3}, torch.zeros(3), [1, 2]])
def test_another_file_in_the_place_of_a_checkpoint_is_refused(stopped, content):
    folder, config = stopped
    torch.save(content, folder / "checkpoint.pt")
    fails(config, folder, r"checkpoint.pt is no checkpoint of format 1 or 2. Choose another folder")


@pytest.mark.usefixtures("no_shape_checks")
def test_a_checkpoint_of_another_version_is_refused(stopped):
    folder, config = stopped
    content = torch.load(folder / "checkpoint.pt", weights_only=True)
    negative = {**content["config"], "run": {"seed": -1}}
    for values in ({**content["config"], "mixup": 0.1}, negative, {"seed": -1}, None):
        torch.save({**content, "config": values}, folder / "checkpoint.pt")
        fails(config, folder, r"checkpoint.pt was written by another version: ")


def test_a_finished_run_of_another_config_or_other_images_is_refused(tmp_path):
    trained(tiny(epochs=1), tmp_path)
    before = weights(tmp_path)
    for rest in ("checkpoint.pt", "log.csv"):  # even if nothing else is left of it
        (tmp_path / rest).unlink()
        fails(
            tiny(epochs=2),
            tmp_path,
            r"is done after epochs=1, .* nothing was changed. Train its network for 1 more in ",
        )
        fails(
            tiny(epochs=1, seed=1), tmp_path, r"belongs to another run: seed=0 there and 1 here. Nothing was changed; "
        )
        fails(tiny(epochs=1), tmp_path, r"belongs to another run: images' number=40 there and 44 here", data=photos(44))
    assert weights(tmp_path) == before


def test_a_finished_run_on_as_many_images_alike_in_sum_is_told_by_their_number(tmp_path):
    """Twice the images have the mean and the deviation of once."""
    trained(tiny(epochs=1), tmp_path)
    twice = photos().subset([*range(40), *range(40)])
    fails(tiny(epochs=1), tmp_path, r"another run: images' number=40 there and 80 here. Nothing was", data=twice)


def folder_of_images(root, data):
    for number, image in enumerate(data.images):
        file = root / "a class" / f"{number:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        to_pil_image(image).save(file)
    return root


@pytest.mark.parametrize(
    ("other", "name"), [(photos(50), "number"), (photos(40, size=14), "size"), (photos(40, channels=3), "mean")]
)
def test_a_finished_run_is_not_taken_for_one_on_another_folder_of_images(tmp_path, monkeypatch, other, name):
    config = tiny(epochs=1, data="image_folder")
    first, second = folder_of_images(tmp_path / "first", photos()), folder_of_images(tmp_path / "second", other)
    run = trained(config, tmp_path / "run", data=None, root=first)
    before = weights(tmp_path / "run")
    monkeypatch.setattr(Pretraining, "step", None)  # nothing is trained
    sentence = rf"run belongs to another run: .*images' {name}=.*choose another folder \(--folder\)"
    fails(config, tmp_path / "run", sentence, TrainingError, data=None, root=second)
    assert weights(tmp_path / "run") == before
    first.rename(tmp_path / "moved")
    again = trained(config, tmp_path / "run", data=None, root=tmp_path / "moved")
    assert again.sha256 == run.sha256


def test_the_files_of_published_data_are_not_read_to_hear_that_a_run_is_done(tmp_path, monkeypatch):
    config = tiny(epochs=1, limit=40)
    run = trained(config, tmp_path, data=None)
    monkeypatch.setattr(loop, "training_images", None)
    assert trained(config, tmp_path, data=None).sha256 == run.sha256


def test_a_finished_run_with_damaged_weights_is_refused(tmp_path):
    trained(tiny(epochs=1), tmp_path)
    (tmp_path / "model.safetensors").write_bytes(weights(tmp_path)[:-1])
    fails(tiny(epochs=1), tmp_path, r"model.safetensors (is damaged or|is no whole safetensors file)")
