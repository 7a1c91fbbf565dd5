"""What is measured of an encoder of points becomes its results, its card and its line of the index."""

from __future__ import annotations

import json
import re

import pytest

from eqmodels.cli import main
from eqmodels.evaluation import CloudEvaluation
from eqmodels.hub.entries import entry_of, read_results
from eqmodels.hub.publishing import publication_files
from eqmodels.storage import StorageError
from eqmodels.training import PretrainConfig, pretrain
from tests.hub.networks import rewrite
from tests.objectives.test_orientation import TINY


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a run of the strict head, measured by the command."""
    place = tmp_path_factory.mktemp("zoo") / "so3_vectors_small.frame_parts"
    pretrain(PretrainConfig.of(**TINY), place, quiet=True)
    assert main(["evaluate", str(place), "--processes", "1", "--limit", "48", "--quiet"]) == 0
    rewrite(place / "config.json", lambda content: content["pretrained_cfg"].update(license="mit"))
    return place


def test_results_lie_beside_the_weights_and_are_read_as_they_were_measured(folder, capsys):
    result = read_results(folder)
    assert isinstance(result, CloudEvaluation)
    assert (result.points, result.group, result.train) == (24, "so3", ("kicad_parts_mini", 48))
    assert CloudEvaluation.from_dict(json.loads(json.dumps(result.to_dict()))) == result
    assert sum(result.errors_of_up) == result.test[1] == 176
    assert main(["evaluate", str(folder), "--processes", "1", "--limit", "12", "--quiet"]) == 0
    assert "stays as it is: it was measured with more images, 48 and 176" in capsys.readouterr().err


def test_the_index_and_the_card_tell_what_was_measured(folder):
    result, entry = read_results(folder), entry_of(folder, "org/network", None)
    assert (entry.group, entry.task, entry.data, entry.data_license) == (
        "so3",
        "orientation",
        "kicad_parts_mini",
        "CC-BY-SA-4.0",
    )
    assert set(entry.metrics) == {
        f"{kind}, {pose}" for kind in ("invariant", "equivariant", "canonical") for pose in ("upright", "turned")
    }
    files = publication_files(folder, "org/network")
    card = files["README.md"].decode()
    assert f"up {result.up:.1f} degrees, the whole frame {result.frame:.1f}" in card
    for one in result.kinds:
        assert re.search(rf"\| `{one.kind}` \| {one.width} \| {100 * one.accuracy:.1f} \|", card)
    assert files["turns.png"].startswith(b"\x89PNG")
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    names: dict = {}
    exec(code.replace("hub:org/network", str(folder)), names)
    assert names["features"].shape == (2, int(re.search(r"# (\d+) features a cloud", code)[1]))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"up": 200.0}, "up must be degrees from 0 to 180"),
        ({"errors_of_up": [1, 2]}, "number of errors_of_up must be true"),
        ({"degenerate": -1.0}, "degenerate must be a share"),
        ({"format": 2}, "results of clouds have takes='points' and format=1; got 'points' and 2"),
        ({"sha256": "0" * 64}, "belongs to other weights"),
    ],
)
def test_results_that_cannot_be_are_refused(folder, tmp_path, change, fault):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    rewrite(tmp_path / "results.json", lambda content: content.update(change))
    with pytest.raises(StorageError, match=fault):
        read_results(tmp_path)
