"""Right arguments for every public callable, from which the tests of bad input make wrong ones."""

from __future__ import annotations

from collections.abc import Callable

from tests.errors.calls import Call
from tests.errors.right_files import FILES
from tests.errors.right_learning import LEARNING
from tests.errors.right_measurements import MEASUREMENTS
from tests.errors.right_networks import NETWORKS
from tests.errors.right_space import SPACE

__all__ = ["LATER", "RIGHT", "Call"]

RIGHT: dict[str, Callable[[], Call]] = {**NETWORKS, **MEASUREMENTS, **LEARNING, **FILES, **SPACE}
"""One a callable, by the name under which the package exports it; made when it is used."""

_RUN = "needs a pretraining run, of which nothing is asked beyond what its hints say"

LATER: dict[str, str] = {
    **dict.fromkeys(
        ("backbones.EscnnResNet", "backbones.as_escnn", "backbones.from_escnn", "backbones.to_escnn"), "needs escnn"
    ),
    **dict.fromkeys(
        ("backbones.from_equivision", "backbones.from_redet", "backbones.from_torchvision"), "takes whole checkpoints"
    ),
    **dict.fromkeys(("cli.build_parser", "cli.main"), "speaks in the words of the command line, tested in tests/cli"),
    **dict.fromkeys(("objectives.create_teacher", "objectives.Teacher"), "downloads weights"),
    **dict.fromkeys(
        (
            *("evaluation.equivariance_report", "evaluation.evaluate", "evaluation.images_per_second"),
            *("export.export_int8", "export.to_onnx"),
        ),
        "takes seconds when a wrong value is harmless",
    ),
    **dict.fromkeys(
        ("storage.open_regular", "storage.read_regular"),
        "lets the system's own errors pass, of which its callers make their sentences",
    ),
    "finetuning.finetune": "goes on in a folder, so that two calls depend on each other; asked in tests/finetuning",
    "studies.calibrate": "takes ten seconds when a wrong value is harmless",
    "remote.send_folder": "writes to the Hub, tested with a server of one's own in tests/hub",
    **dict.fromkeys(
        ("evaluation.observe", "evaluation.head_scores", "evaluation.task_scores", "measures.measure_synergy"), _RUN
    ),
    **dict.fromkeys(
        (
            *("Learner", "Pretraining", "build_learner", "load_run", "load_unfinished", "prepared_images", "pretrain"),
            *("provenance", "register_optimiser", "save_run", "snapshot", "training_images", "untrained"),
            *("studies.encoder_synergy", "studies.rank_tasks", "studies.run_study"),
        ),
        _RUN,
    ),
}
"""Callables that are not asked, by their names, and why."""
