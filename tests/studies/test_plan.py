"""What a study runs: every network once, what others need first, and nothing that cannot be."""

import json

import pytest

from eqmodels.studies import SynergyPlan

PLAN = SynergyPlan()


def test_every_cell_has_a_name_of_its_own_and_a_config_of_the_plan():
    cells = PLAN.cells()
    assert len({cell.name for cell in cells}) == len(cells)
    for cell in cells:
        config = cell.config
        assert (config.data.name, config.data.limit) == (PLAN.data, PLAN.limit)
        assert config.optimisation.batch_size == PLAN.batch_size
        assert config.optimisation.epochs == (1 if cell.kind == "brief" else PLAN.epochs)
        assert (config.objective.options["class_weight"] is None) == (cell.kind not in ("classifier", "dose"))


def test_the_grid_is_whole_but_for_what_cannot_be_asked():
    names = {cell.name for cell in PLAN.cells()}
    impossible = PLAN.impossible()
    for augment in PLAN.augments:
        for model in PLAN.models:
            for task in PLAN.tasks:
                name = f"pretrained/{augment}/{model}/{task}/seed0"
                assert (name in names) != (name in impossible)
    assert not names & set(impossible)
    assert "pretrained/simclr/c1_resnet18s_w16/horizontal_flip/seed0" in impossible
    assert all("\n" not in reason for reason in impossible.values())
    # Each has its controls.
    for name in names:
        if name.startswith("pretrained/"):
            _, augment, model, task, seed = name.split("/")
            assert {f"brief/{augment}/{model}/{task}/{seed}", f"random/{model}/{task}/{seed}"} <= names


def test_classifiers_come_first_and_have_another_seed_than_what_is_measured():
    cells = PLAN.cells()
    kinds = [cell.kind for cell in cells]
    assert kinds[: len(PLAN.tasks)] == ["classifier"] * len(PLAN.tasks)
    assert "classifier" not in kinds[len(PLAN.tasks) :]
    names = {cell.name: cell for cell in cells}
    for cell in cells:
        classifier = names[PLAN.classifier_of(cell)]
        assert classifier.task == cell.task
        assert cell.kind == "classifier" or classifier.config.run.seed != cell.config.run.seed


def test_groups_are_compared_by_rotation_alone_under_one_augmentation():
    cells = [cell for cell in PLAN.cells() if cell.kind == "pretrained" and cell.model in PLAN.groups]
    assert {cell.task for cell in cells} == {"rotation"}
    assert {cell.augment for cell in cells} == {PLAN.augments[0]}


@pytest.mark.parametrize("plan", [PLAN, SynergyPlan.quick()], ids=["full", "quick"])
def test_a_plan_survives_json(plan):
    assert SynergyPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        ({"models": ()}, "models must be different and at least one; got"),
        ({"augments": ("none", "none")}, "augments must be different"),
        ({"seeds": (0, 0)}, "seeds must be different"),
        ({"tasks": ("none",)}, "have two labels or more; got 'none'"),
        ({"tasks": ("rotation+blur",)}, "asked one at a time"),
        ({"tasks": ("rotate",)}, "Use 'rotation'"),
    ],
)
def test_bad_plans_are_one_sentence(values, pattern):
    with pytest.raises(ValueError, match=pattern) as caught:
        SynergyPlan(**values)
    assert "\n" not in str(caught.value)


def test_an_unknown_value_is_named():
    with pytest.raises(ValueError, match="got 'modles'"):
        SynergyPlan.from_dict({"modles": ["c1_resnet18s"]})
