"""Sources of clouds: KiCad's parts and their splits, folders of meshes, ModelNet40 and ScanObjectNN."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hatchling.builders.wheel import WheelBuilder

from benchmarks.data import kicad_parts_mini as mini
from eqmodels import create_model
from eqmodels.cli import main
from eqmodels.data import load_data
from eqmodels.data.space.kicad import LARGEST_SERIES, part_files, series_of
from eqmodels.evaluation import evaluate
from eqmodels.finetuning import finetune
from eqmodels.storage import StorageError
from eqmodels.transforms import Preprocessing
from tests.data.space_files import (
    box,
    write_kicad,
    write_modelnet,
    write_off,
    write_points,
    write_scanobjectnn,
    write_wrl,
)

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "eqmodels" / "data" / "kicad_parts_mini"


def test_a_series_is_in_one_split_and_small_families_are_none(tmp_path):
    write_kicad(tmp_path)
    both = {split: part_files(tmp_path, split) for split in ("train", "test")}
    for files in both.values():
        assert list(files) == ["Connector_PinHeader", "Package_SO"]
    for family in both["train"]:
        train, test = ({series_of(path.stem) for path in files[family]} for files in both.values())
        assert not train & test
        assert (len(train), len(test)) == (2, 1)
        assert all(len(both[split][family]) == 8 * count for split, count in (("train", 2), ("test", 1)))


def test_of_a_long_series_some_are_used_the_same_ones_each_time(tmp_path):
    write_kicad(tmp_path)
    for number in range(40):
        write_wrl(tmp_path / "Package_SO.3dshapes" / f"SOIC-{number + 50}_3.9x4.9mm.wrl", box(1, 2, 3))
    files = [path for split in ("train", "test") for path in part_files(tmp_path, split)["Package_SO"]]
    assert sum(series_of(path.stem) == "SOIC-#_#x#mm" for path in files) == LARGEST_SERIES
    assert files == [path for split in ("train", "test") for path in part_files(tmp_path, split)["Package_SO"]]


def test_clouds_are_drawn_by_a_seed_and_kept(tmp_path):
    write_kicad(tmp_path / "parts")
    options = {"root": tmp_path / "parts", "points": 16}
    data = load_data("kicad_parts", **options)
    assert (len(data), data.classes, data.size, data.aligned) == (
        32,
        ("Connector_PinHeader", "Package_SO"),
        (16, 1),
        True,
    )
    assert data.labels.tolist() == [0] * 16 + [1] * 16
    again, other = (load_data("kicad_parts", sample_seed=seed, **options) for seed in (0, 1))
    assert torch.equal(data.images, again.images)
    assert not torch.equal(data.images, other.images)
    kept = load_data("kicad_parts", cache=tmp_path / "cache", **options)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(b"0" + file.read_bytes()[1:])
    with pytest.raises(StorageError, match=rf"^{re.escape(str(file))} is no whole cache .*Delete it"):
        load_data("kicad_parts", cache=tmp_path / "cache", **options)
    np.save(file, 1 - kept.images.numpy())  # what lies there is what is read
    assert torch.equal(load_data("kicad_parts", cache=tmp_path / "cache", **options).images, 1 - data.images)
    # A new part changes no other's points.
    write_wrl(tmp_path / "parts" / "Package_SO.3dshapes" / "HSOP-3_1mm.wrl", box(1, 1, 1))
    more = load_data("kicad_parts", **options)
    assert {cloud.numpy().tobytes() for cloud in data.images} <= {cloud.numpy().tobytes() for cloud in more.images}


def test_a_folder_without_parts_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^kicad_parts reads the parts of KiCad, .*Install Debian's package"):
        load_data("kicad_parts", root=tmp_path)


def test_a_folder_has_classes_or_none_and_splits_or_a_fifth(tmp_path):
    write_points(tmp_path / "classes")
    train, test = (load_data("point_folder", split, root=tmp_path / "classes", points=9) for split in ("train", "test"))
    assert train.classes == test.classes == ("a", "b")
    assert len(train) + len(test) == 24
    assert not train.aligned
    assert load_data("point_folder", root=tmp_path / "classes", points=9, aligned=True).aligned
    for split in ("train", "test"):
        write_off(tmp_path / "splits" / split / "box" / "a.off", box(1, 2, 3))
        write_off(tmp_path / "loose" / split / "a.off", box(1, 2, 3))
    for name, classes in (("splits", ("box",)), ("loose", ())):
        data = load_data("point_folder", root=tmp_path / name, points=9)
        assert (len(data), data.classes) == (1, classes)
    with pytest.raises(FileNotFoundError, match=r"has no meshes or clouds \(.*\) for split='test'\. Name a folder"):
        load_data("point_folder", "test", root=tmp_path / "splits" / "train")
    with pytest.raises(ValueError, match=r"^point_folder needs the folder of meshes or clouds; got none\."):
        load_data("point_folder")
    (tmp_path / "loose" / "test" / "b.off").write_text("nothing")
    with pytest.raises(ValueError, match=r"^1 of 2 files of .* give no cloud\. The first: .*b\.off cannot be read"):
        load_data("point_folder", "test", root=tmp_path / "loose")


def test_what_is_up_in_files_is_up_in_clouds(tmp_path):
    write_off(tmp_path / "tall.off", box(1, 9, 2))
    standing = load_data("point_folder", "train", root=tmp_path, up="y", points=200)
    extent = (standing.points().amax(1) - standing.points().amin(1))[0]
    assert extent.argmax() == 2
    assert extent.argsort().tolist() == [1, 0, 2]  # x, 1 wide, is left, and z, 2 deep, front


def test_modelnet_and_scanobjectnn_have_the_splits_of_their_files(tmp_path):
    write_modelnet(tmp_path / "modelnet")
    write_scanobjectnn(tmp_path)
    for split, count in (("train", 6), ("test", 4)):
        data = load_data("modelnet40", split, root=tmp_path / "modelnet", points=10)
        assert (len(data), data.classes, data.aligned) == (count, ("chair", "desk"), True)
        scans = load_data("scanobjectnn", split, root=tmp_path, points=10)
        assert (len(scans), len(scans.classes), scans.aligned, scans.size) == (6, 15, False, (10, 1))
    hardest = load_data("scanobjectnn", "test", root=tmp_path, points=10, variant="hardest")
    assert not torch.equal(hardest.images, scans.images)
    with pytest.raises(ValueError, match=r"^points must be at most 2048, those of a scan; got 4096\."):
        load_data("scanobjectnn", root=tmp_path, points=4096)
    (tmp_path / "test_objectdataset.h5").write_text("nothing")
    with pytest.raises(ValueError, match=r"test_objectdataset\.h5 cannot be read .*Fetch it again"):
        load_data("scanobjectnn", "test", root=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"^scanobjectnn reads training_objectdataset\.h5; .* has none\."):
        load_data("scanobjectnn", root=tmp_path / "modelnet")
    for name in ("modelnet40", "scanobjectnn"):
        with pytest.raises(ValueError, match=rf"^{name} needs the folder of .*; got none\."):
            load_data(name)


def test_every_option_of_a_source_has_a_flag_of_pretrain(capsys):
    """A name that the run has itself, such as a seed, would leave the command without its help."""
    for name in ("kicad_parts", "kicad_parts_mini", "modelnet40", "point_folder", "scanobjectnn"):
        with pytest.raises(SystemExit) as ended:
            main(["pretrain", "--model", "pointnet", "--objective", "orientation", "--data", name, "--help"])
        assert ended.value.code == 0
        assert ("--sample-seed" in capsys.readouterr().out) == (name in ("kicad_parts", "modelnet40", "point_folder"))


# The embedded subset.


def test_it_is_balanced_and_its_splits_share_no_part():
    both = {split: load_data("kicad_parts_mini", split) for split in ("train", "test")}
    for split, (count, least) in {"train": (592, 42), "test": (176, 13)}.items():
        data = both[split]
        assert data.images.shape == (count, 3, 256, 1)
        assert data.classes == mini.FAMILIES
        assert int(data.labels.bincount().min()) >= least
    train, test = ({cloud.numpy().tobytes() for cloud in data.images} for data in both.values())
    assert not train & test


def test_it_is_under_2_megabytes_with_its_licence_and_in_the_wheel():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 2e6
    licence = (FOLDER / "LICENSE").read_text("utf-8")
    assert "CC-BY-SA-4.0" in licence
    assert "the copyright holder waives article 3" in re.sub(r"\s+", " ", licence).replace("then the", "the")
    files = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_selected_project_files()}
    assert {f"eqmodels/data/kicad_parts_mini/{name}" for name in ("train.npz", "test.npz", "LICENSE")} <= files


def test_writing_gives_back_what_was_written(tmp_path, monkeypatch):
    data = load_data("kicad_parts_mini", "test").balanced_subset(24)
    (tmp_path / "kicad_parts_mini").mkdir()
    mini.write(data, tmp_path / "kicad_parts_mini" / "test.npz")
    monkeypatch.setattr("eqmodels.data.space.kicad_mini.resources.files", lambda _: tmp_path)
    assert torch.equal(load_data("kicad_parts_mini", "test").images, data.images)


def test_clouds_are_refused_where_images_are_asked_for(tmp_path):
    data = load_data("kicad_parts_mini", "test").balanced_subset(24)
    with pytest.raises(
        ValueError, match=r"^images are asked for here; got kicad_parts_mini, which has clouds of points"
    ):
        evaluate(lambda images: images.flatten(1), data, data)
    network = create_model("c4_resnet18s_w4", num_classes=12)
    network.preprocessing = Preprocessing((0.5,) * 3, (0.5,) * 3, (16, 16))
    with pytest.raises(
        ValueError, match=r"^images are asked for here; got kicad_parts_mini, which has clouds of points"
    ):
        finetune(network, data, data, tmp_path)
