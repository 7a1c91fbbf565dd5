"""What a run went on without is written down in its folder."""

from __future__ import annotations

import csv
import os

import pytest

from eqmodels.training import load_run, pretrain
from tests.data.files import write_image_folder
from tests.training.runs import tiny


@pytest.mark.filterwarnings("ignore::eqmodels.data.pictures.LeftOutWarning")
@pytest.mark.parametrize("how", [{}, {"stream": True}, {"cache": "kept"}], ids=["in memory", "stream", "cache"])
def test_files_that_were_left_out_are_listed_in_the_run(tmp_path, monkeypatch, how):
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos")
    bad = tmp_path / "photos/train/ant/1.png"
    bad.write_bytes(b"none")
    odd = bad.with_name(os.fsdecode(b"\xff.png"))
    odd.write_bytes(b"none")
    config = tiny(data="image_folder", size=8, skip_bad=True, limit=6, batch_size=6, epochs=1)
    pretrain(config, "run", root="photos", reading=how, quiet=True)
    with (tmp_path / "run/skipped.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        rows = list(csv.DictReader(stream))
    reason = "it is of none of the formats BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP"
    assert {row["path"]: row["reason"] for row in rows} == {
        f"photos/train/ant/{one.name}": reason for one in (bad, odd)
    }
    assert load_run("run").provenance["data"]["skipped"] == 2


def test_where_none_was_left_out_nothing_is_said(tmp_path):
    write_image_folder(tmp_path / "photos")
    config = tiny(data="image_folder", size=8, epochs=1)
    run = pretrain(config, tmp_path / "run", root=tmp_path / "photos", quiet=True)
    assert "skipped" not in run.provenance["data"]
    assert not (tmp_path / "run/skipped.csv").exists()
