"""The measurement on clouds: the document is that of the results, and probes and degrees are what they say."""

from __future__ import annotations

import torch

from benchmarks._sections import read_section
from benchmarks.space import measure, tables
from benchmarks.space.runs import config_of
from eqmodels.data import in_random_poses, load_data
from eqmodels.layers.space import Frames
from eqmodels.training.snapshots import untrained


def test_the_section_of_the_document_is_that_of_the_committed_results():
    assert read_section(tables.DOCUMENT, "kicad") == tables.section()


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
