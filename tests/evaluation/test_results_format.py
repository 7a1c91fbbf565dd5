"""Results that were written before they had a format load, and mean what they meant."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from eqmodels.backbones.names import current_name
from eqmodels.evaluation import EncoderEvaluation, evaluate, over_seeds
from tests.evaluation.test_evaluate import QUICK, striped, untrained

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "essl"
FORMER = sorted(RESULTS.glob("simclr/*/seed0/results.json"))


@pytest.mark.parametrize("file", FORMER, ids=lambda file: file.parts[-3])
def test_committed_results_load_with_todays_names_and_their_own_numbers(file):
    content = json.loads(file.read_text())["evaluation"]
    found = EncoderEvaluation.from_dict(content)
    assert found.model == current_name(content["model"]) == file.parts[-3].rpartition(".")[0]
    assert not found.circular_probes
    for scores, entry in zip(found.kinds, content["features"], strict=True):
        assert scores.kind == entry["features"]
        assert (scores.accuracy, scores.turned, scores.strength) == (
            entry["accuracy"],
            entry["turned"],
            entry["strength"],
        )
        assert scores.elements == entry["elements"]
        assert [(str(round(degrees)), value) for degrees, value in scores.curve] == list(entry["angles"].items())
        assert all(view.endswith("° in a circle") for view in scores.angles)
    assert found.equivariance_error == content["equivariance_error"]
    written = found.to_dict()
    assert written["format"] == 2
    assert EncoderEvaluation.from_dict(json.loads(json.dumps(written))) == found


def test_the_group_of_former_results_is_the_networks_and_not_the_tests():
    def group(model):
        return EncoderEvaluation.from_dict(former(model=model)).group

    assert [group(name) for name in ("resnet18_w16", "c1_resnet18_w16", "d2_resnet18_w16", "c8_wide_resnet16_8")] == [
        "C1",
        "C1",
        "D2",
        "C8",
    ]


def former(**values):
    """Results as they were written before, of C8."""
    content = evaluate(untrained("c4_resnet18s_w8", "mlp"), striped(60), striped(20, seed=1), **QUICK).to_dict()
    kinds = content.pop("kinds")
    for entry in kinds:
        entry["features"] = entry.pop("kind")
        entry["elements"] = {"0°": 0.9, "45°": 0.4, "flip, then 90°": 0.7}
        entry["angles"] = {"0": 0.8, "15": 0.5}
    del content["format"], content["circular_probes"], content["field"]
    content["config"] = {"model": "c8_resnet18_w8", "seed": 0}
    return content | {"features": kinds, "model": "c8_resnet18_w8", "equivariance_error": {"45°": 0.2}} | values


def test_what_was_seen_through_a_circle_says_so():
    found = EncoderEvaluation.from_dict(former())
    assert found.model == found.config["model"] == "c8_resnet18s_w8"
    assert found.equivariance_error == {"45° in a circle": 0.2}
    scores = found.of("regular")
    assert scores.elements == {"0°": 0.9, "45° in a circle": 0.4, "flip, then 90°": 0.7}
    assert scores.angles == {"0° in a circle": 0.8, "15° in a circle": 0.5}
    assert scores.curve == [(0.0, 0.8), (15.0, 0.5)]


def test_results_of_probes_that_knew_no_circle_are_not_averaged_with_those_that_did():
    before = EncoderEvaluation.from_dict(former())
    after = replace(before, circular_probes=True, config=before.config | {"seed": 1})
    with pytest.raises(ValueError, match="measured alike"):
        over_seeds([before, after])


def test_a_later_format_and_an_unknown_element_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match="results of format 3 are of a later version of eqmodels"):
        EncoderEvaluation.from_dict(former() | {"format": 3})
    with pytest.raises(ValueError, match=r"an element is written as '90°' .*; got 'upside down'"):
        EncoderEvaluation.from_dict(former(equivariance_error={"upside down": 0.1}))
