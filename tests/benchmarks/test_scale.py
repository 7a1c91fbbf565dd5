"""docs/scale.md says what the committed throughputs come to, and the script for Slurm can be started."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks._sections import read_section
from benchmarks.data import scale
from eqmodels.cli import build_parser

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "pretrain.sbatch"


def test_the_tables_are_those_of_the_committed_throughputs():
    assert read_section(ROOT / "docs" / "scale.md", "scale") == scale.section()


def test_time_is_images_times_epochs_over_the_rate():
    assumed = replace(scale.ASSUMPTIONS, peak=1e12, used=0.5, passes=1.0, together=0.5)
    found = scale.rates(assumed)
    assert found["1 GPU"] == pytest.approx(0.5e12 / scale.operations())
    assert found["8 GPUs"] == 4 * found["1 GPU"]
    # 16 3x3 convolutions of 16 channels on 64 x 64 pixels are most of it.
    assert scale.operations() > 4 * 2 * 64**2 * 9 * 16**2
    (row,) = [line for line in scale.section(assumed).splitlines() if line.startswith("| 10^9 | 1 GPU |")]
    assert f"| {found['1 GPU']:,.0f} | {1e9 / found['1 GPU'] / 86400:,.1f} days |" in row


@pytest.fixture
def cluster(tmp_path):
    """Stand-ins for Slurm's commands, that write down what they are called with; and the variables of a job."""
    for name, body in {
        "srun": 'printf "%s\\n" "$@" > srun.txt; sleep "${SLEEP:-0}"; exit "${STATUS:-0}"',
        "scontrol": 'if [ "$1" = show ]; then echo node7; echo node8; else echo "$@" >> scontrol.txt; fi',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    job = {"SLURM_JOB_ID": "12", "SLURM_NNODES": "4", "SLURM_JOB_NODELIST": "node[7-8]"}
    return tmp_path, {**os.environ, **job, "PATH": f"{tmp_path}:{os.environ['PATH']}"}


def test_the_script_has_no_error_of_syntax():
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)


def test_the_script_starts_a_command_that_there_is(cluster):
    folder, environment = cluster
    subprocess.run(["bash", str(SCRIPT)], cwd=folder, env=environment, check=True)
    words = (folder / "srun.txt").read_text().splitlines()
    assert words[0] == "torchrun"
    assert words[words.index("--rdzv-endpoint") + 1] == "node7:29500"
    command = words[words.index("eqmodels") + 1 :]
    arguments = build_parser().parse_args(command)
    assert (arguments.model, arguments.batch_size, arguments.order) == ("c4_resnet18s_w64", 8192, "keyed")
    assert arguments.root == str(folder / "my_images")
    failing = {**environment, "STATUS": "3"}
    assert subprocess.run(["bash", str(SCRIPT)], cwd=folder, env=failing, check=False).returncode == 3


def test_the_script_asks_to_be_started_again_before_its_time_is_over(cluster):
    folder, environment = cluster
    process = subprocess.Popen(["bash", str(SCRIPT)], cwd=folder, env={**environment, "SLEEP": "0.6"})
    while not (folder / "srun.txt").exists():
        assert process.poll() is None
        time.sleep(0.01)
    subprocess.run(shlex.split(f"kill -USR1 {process.pid}"), check=True)
    assert process.wait() == 0
    assert (folder / "scontrol.txt").read_text() == "requeue 12\n"
