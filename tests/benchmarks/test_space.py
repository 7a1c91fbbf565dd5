"""The measurement on clouds: the document is that of the results, and probes and degrees are what they say."""

from __future__ import annotations

import pytest
import torch

from benchmarks._sections import read_section
from benchmarks.space import measure, molecules, rotations, speed, tables
from benchmarks.space.runs import config_of
from eqmodels import create_model
from eqmodels.data import clouds_of, in_random_poses, load_data
from eqmodels.groups import random_rotations
from eqmodels.layers.space import Frames
from eqmodels.training.snapshots import untrained
from tests.data.molecule_files import write_qm9


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("kicad", tables.section),
        ("rotations", rotations.section),
        ("speed", speed.section),
        ("molecules", molecules.section),
    ],
)
def test_the_section_of_the_document_is_that_of_the_committed_results(name, section):
    assert read_section(tables.DOCUMENT, name) == section()
    assert section() != "Nothing has been measured yet."


def test_features_that_know_the_class_score_everything_and_turned_ones_do_not():
    data = load_data("kicad_parts_mini", "test").balanced_subset(48)
    known = {cloud[0, 0].item(): label for cloud, label in zip(data.points(), data.labels, strict=True)}

    def encoder(points):
        found = torch.tensor([known.get(cloud[0, 0].item(), 0) for cloud in points])
        return torch.nn.functional.one_hot(found, 12).float()

    scores = measure.scores_of(encoder, data, data, 0, turned=True)
    assert scores["probe upright"] == scores["knn upright"] == 1
    assert scores["probe SO3"] <= 2 / 12
    assert {"probe SO3 to upright", "knn SO3 to SO3"} <= scores.keys()


def test_controls_are_made_invariant_by_axes_and_by_the_frames_of_a_run_if_there_is_one(tmp_path, monkeypatch):
    data, network = load_data("kicad_parts_mini", "test").balanced_subset(12), create_model("pointnet", width=4).eval()
    assert [*measure.made_invariant(network, tmp_path / "none")] == ["averaged over the principal axes"]
    monkeypatch.setattr(measure, "load_run", lambda _: untrained(config_of("strict", 0), data))
    found = measure.made_invariant(network, tmp_path)
    assert [*found] == ["averaged over the principal axes", "turned back by the strict head"]
    upright, poses = (clouds_of(one.pixels(slice(None)))[:, :128] for one in (data, in_random_poses(data, seed=1)))

    def change(encoder):  # in the median, as the axes of a part that is alike all round are arbitrary
        return float(((encoder(poses) - encoder(upright)).norm(dim=1) / encoder(upright).norm(dim=1)).detach().median())

    assert change(network) > 0.1
    assert all(change(encoder) < 1e-3 for encoder in found.values()), [change(one) for one in found.values()]


def test_degrees_of_a_head_that_is_right_are_none():
    data = load_data("kicad_parts_mini", "test").balanced_subset(12)
    run = untrained(config_of("strict", 0), data)
    found = measure.errors_of(run, data, 0)
    assert sum(found["histogram of up"]) == 12
    assert 0 <= found["up"] <= 180

    class Right(torch.nn.Module):
        """A head that knows the true poses."""

        def frames(self, features):
            poses = in_random_poses(data, seed=1000).rotations
            return Frames(poses, torch.zeros(12, dtype=torch.bool), *[torch.ones(12)] * 3)

    run.objective.head = Right()
    right = measure.errors_of(run, data, 0)
    assert right["up"] < 0.1
    assert right["frame"] < 0.1
    assert (right["up below 15"], right["degenerate"]) == (1, 0)


def test_angles_are_learned_worse_than_six_and_nine_numbers(monkeypatch):
    monkeypatch.setattr(rotations, "TESTED", 300)
    errors = {kind: rotations.errors_of(kind, 0, 60) for kind in rotations.KINDS}
    means = {kind: float(found.mean()) for kind, found in errors.items()}
    assert all(len(found) == 300 and bool((found.diff() >= 0).all()) for found in errors.values())
    assert max(means[kind] for kind in means if "numbers" in kind) < means["Euler angles"]


def test_what_is_timed_of_e3nn_turns_with_the_cloud_too():
    torch.manual_seed(0)
    layers = speed.example_layers(1)
    points, turn = torch.randn(2, 40, 3), random_rotations(1, dtype=torch.float32)[0]
    scalars, vectors = layers(points).split([32, 48], 1)
    turned, turned_vectors = layers(points @ turn.T).split([32, 48], 1)
    torch.testing.assert_close(turned, scalars, rtol=1e-3, atol=1e-4)
    expected = vectors.unflatten(1, (16, 3)) @ turn.T
    torch.testing.assert_close(turned_vectors.unflatten(1, (16, 3)), expected, rtol=1e-3, atol=1e-4)


def test_what_atoms_alone_tell_of_molecules_is_known(tmp_path, monkeypatch):
    write_qm9(tmp_path)
    for name, value in {"LEARNED": 18, "HELD": 3, "BATCH": 8}.items():
        monkeypatch.setattr(molecules, name, value)
    parts = molecules.read_parts(tmp_path)
    assert [len(part) for part in parts] == [18, 3, 3]
    assert not {*parts.train.targets[:, 0].tolist()} & {*parts.stop.targets[:, 0].tolist()}
    for part in parts:  # numbers that atoms tell, nearly
        counts = molecules.counts_of(part)
        assert torch.equal(counts[:, :5].sum(1), part.atoms()[1].sum(1).double())
        noise = 1e-3 * torch.rand(len(part), 3, generator=torch.Generator().manual_seed(0))
        columns = [part.target_names.index(name) for name in molecules.PROPERTIES]
        part.targets[:, columns] = counts @ torch.arange(18).double().reshape(6, 3) + noise
    result = molecules.measured(parts, 0, 1)
    assert (result["train"], result["test"]) == (18, 3)
    assert max(result["counts"]) < 0.01
