"""A whole study, tiny: everything is measured once, kept, and told.

It takes a minute and a half, and is among the long checks; a smaller one is that of tests/cli/test_synergy.py.
"""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from eqmodels.storage import StorageError
from eqmodels.studies import (
    SynergyPlan,
    correlations,
    grid_points,
    read_study,
    run_study,
    study,
    study_tables,
    write_study_report,
)
from eqmodels.training import load_run

PLAN = SynergyPlan(
    models=("c1_resnet18s_w4",),
    tasks=("rotation", "vertical_flip"),
    augments=("none",),
    groups=("c4_resnet18s_w4",),
    doses=(-3.0, 0.5),
    data="fashion_mnist_mini",
    limit=50,
    epochs=2,
    batch_size=25,
    test_limit=50,
    folds=2,
    samples=200,
)
OF_A_RUN = {"seconds": 0, "origin": None}
"""What differs between two measurements of a cell."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    torch.manual_seed(5)
    run_study(PLAN, folder, quiet=True)
    (folder / "drawn").write_text(str(float(torch.rand(()))))
    return folder


@pytest.mark.slow
def test_every_cell_is_measured(folder):
    found = read_study(folder)
    assert found.plan == PLAN
    assert tuple(found.cells) == PLAN.cells()
    for cell, result in found.cells.items():
        assert result.config == cell.config.to_dict()
        assert 0 <= result.probe <= 1
        assert len(result.terms) == {"classifier": 0, "epochs": PLAN.epochs + 1}.get(cell.kind, 1)
        assert (result.class_accuracy >= 0) == (cell.kind in ("classifier", "dose"))
        assert (result.task_training_accuracy >= 0) == ("random/" not in cell.name)
        for terms in result.terms:
            assert terms.usable is not None
            assert terms.images == 50
            assert terms.rows == 50 * terms.num_labels
    assert {entry.model for entry in found.calibration} >= {"A + C", "A alone"}


@pytest.mark.slow
def test_the_terms_before_the_first_epoch_are_those_of_the_random_network(folder):
    cells = {cell.name: result for cell, result in read_study(folder).cells.items()}
    followed, random = cells["epochs/c1_resnet18s_w4"], cells["random/c1_resnet18s_w4/rotation/seed0"]
    assert followed.terms[0] == random.terms[0]
    # The same config trained at once, and trained with measurements between the epochs.
    pretrained = cells["pretrained/none/c1_resnet18s_w4/rotation/seed0"]
    assert followed.terms[-1] == pretrained.terms[0]
    assert followed.probe == pretrained.probe


@pytest.mark.slow
def test_a_richer_family_measures_the_same_network(folder):
    cells = {cell.name: result for cell, result in read_study(folder).cells.items()}
    richer = [name for name in cells if name.startswith("film/")]
    assert len(richer) == 2
    for name in richer:
        source = cells[name.removeprefix("film/")]
        assert cells[name].probe == source.probe
        assert (cells[name].terms[0].family, source.terms[0].family) == ("mlp", "linear")
        assert cells[name].terms[0].known != source.terms[0].known


@pytest.mark.slow
def test_networks_whose_weights_were_not_kept_are_trained_again_to_the_same_figures(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "cloned", ignore=shutil.ignore_patterns("*.safetensors", "*.pt", "config.json"))
    lost = tmp_path / "cloned" / "pretrained/none/c1_resnet18s_w4/vertical_flip/seed0/synergy.json"
    before = json.loads(lost.read_text())
    lost.unlink()
    run_study(PLAN, tmp_path / "cloned", quiet=True)
    after = json.loads(lost.read_text())
    assert before | OF_A_RUN == after | OF_A_RUN


@pytest.mark.slow
def test_what_is_done_is_not_done_again_and_what_is_lost_is(folder, monkeypatch):
    lost = folder / "pretrained/none/c1_resnet18s_w4/rotation/seed0/synergy.json"
    before = json.loads(lost.read_text())
    lost.unlink()
    assert len(read_study(folder).cells) == len(PLAN.cells()) - 1
    measured = []
    original = study.measure_cell
    monkeypatch.setattr(
        study, "measure_cell", lambda cell, *args, **kw: measured.append(cell.name) or original(cell, *args, **kw)
    )
    run_study(PLAN, folder, quiet=True)
    assert measured == ["pretrained/none/c1_resnet18s_w4/rotation/seed0"]
    after = json.loads(lost.read_text())
    assert before | OF_A_RUN == after | OF_A_RUN


@pytest.mark.slow
def test_a_study_that_is_stopped_between_epochs_goes_on_to_the_same_end(folder, tmp_path):
    plan = replace(PLAN, tasks=("rotation",), groups=(), doses=())
    cell = plan.cells()[-1]
    assert cell.kind == "epochs"
    terms = folder / cell.name / "terms.json"
    whole = json.loads(terms.read_text())
    # As if it was killed after the first epoch was trained and before it was measured.
    data = study.load_study_data(plan)
    classifier = load_run(folder / plan.classifier_of(cell))
    killed = []

    def report(what):
        if what == "labels" and (tmp_path / cell.name / "terms.json").exists() and not killed:
            killed.append(what)
            raise KeyboardInterrupt

    options = {"classifier": classifier, "folds": 2, "report": report}
    with pytest.raises(KeyboardInterrupt):
        study.measure_cell(cell, tmp_path, data, **options)
    assert len(json.loads((tmp_path / cell.name / "terms.json").read_text())) == 1
    found = study.measure_cell(cell, tmp_path, data, **options)
    assert killed
    assert json.loads(json.dumps([terms.to_dict() for terms in found.terms])) == whole


@pytest.mark.slow
def test_another_plan_is_refused_and_nothing_is_touched(folder):
    before = (folder / "plan.json").read_bytes()
    with pytest.raises(StorageError, match=r"holds another study: its epochs is 2, not 3\. Choose another --folder"):
        run_study(replace(PLAN, epochs=3), folder, quiet=True)
    assert (folder / "plan.json").read_bytes() == before


@pytest.mark.slow
def test_a_damaged_result_is_named(folder):
    file = folder / "dose/0.5/synergy.json"
    content = file.read_text()
    try:
        file.write_text("{")
        with pytest.raises(StorageError, match=r"synergy\.json cannot be read .* Delete it, and it is measured again"):
            read_study(folder)
    finally:
        file.write_text(content)


def test_no_study_is_one_sentence(tmp_path):
    with pytest.raises(StorageError, match="holds no study of synergy"):
        read_study(tmp_path)


@pytest.mark.slow
def test_tables_have_a_row_a_cell_and_pictures_are_written_alike_twice(folder, tmp_path):
    found = read_study(folder)
    tables = {table.title: table for table in study_tables(found)}
    assert len(tables) == 7
    families = "Two families of predictors: c1_resnet18s_w4 as it is initialised"
    assert [row[1] for row in tables[families].rows] == ["linear", "mlp"] * 2
    assert len(tables["Tasks, augmentations and backbones"].rows) == 3
    assert [row[0] for row in tables["Class information, added and eliminated"].rows] == ["-3", "0.5"]
    assert len(tables["Over the epochs"].rows) == PLAN.epochs + 1
    assert {row[0] for row in tables["Groups at equal cost: rotation"].rows} == {"c1_resnet18s_w4", "c4_resnet18s_w4"}
    page = write_study_report(found, tmp_path / "one")
    write_study_report(found, tmp_path / "two")
    files = sorted(path.name for path in page.parent.iterdir())
    assert len([name for name in files if name.endswith(".png")]) == 5
    assert {"index.html", "tables.md"} <= set(files)
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        assert name.endswith((".html", ".md")) or f'src="{name}"' in page.read_text()


@pytest.mark.slow
def test_the_gain_is_over_the_same_network_as_it_was_initialised(folder):
    points = grid_points(read_study(folder))
    assert len(points) == 3
    for point in points:
        assert point.gain == pytest.approx(point.pretrained.probe - point.random.probe)
        assert point.random.config["model"]["name"] == point.cell.model
        assert point.brief.config["optimisation"]["epochs"] == 1
        assert point.brief.config["objective"]["options"]["task"] == point.cell.task
    assert set(correlations(points)) >= {"synergy, pretrained", "probe after one epoch"}


@pytest.mark.slow
def test_a_study_leaves_the_global_random_state_alone(folder):
    """Every kind of cell was measured between the seed and the number that was drawn after it."""
    torch.manual_seed(5)
    assert float((folder / "drawn").read_text()) == float(torch.rand(()))
    torch.manual_seed(5)
    run_study(PLAN, folder, quiet=True)
    assert float((folder / "drawn").read_text()) == float(torch.rand(()))
