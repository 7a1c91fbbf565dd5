"""Processes at once, processes that die, disks that are full or read-only: what is loaded is whole all the same."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from safetensors.torch import load as parse

from eqmodels import load
from eqmodels.remote.download import Fetch
from tests.hub.faults import assert_cache_is_whole
from tests.hub.networks import REPOSITORY, assert_is_network, network, refuses
from tests.hub_server import Fault, run_client

SOURCE = f"hub:{REPOSITORY}"
DOWNLOADING = import_module("eqmodels.remote.download")

LOAD = f"""
    import sys, eqmodels
    try:
        encoder = eqmodels.load({SOURCE!r})
    except (eqmodels.EqmodelsError, ValueError) as error:
        print(error)
        sys.exit(3)
    print(float(encoder.layer4[1].conv2.weight.detach().double().sum()))
"""


def start(environment) -> subprocess.Popen:
    """A process that loads the network."""
    command = [sys.executable, "-c", textwrap.dedent(LOAD)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow  # threads are tried each time, and a process that is killed
def test_two_processes_that_load_at_once_have_the_same_network(server, tmp_path):
    server.publish(REPOSITORY, network())
    # So slow that both are at it.
    server.faults.append(Fault("GET .*safetensors", "slow", at=10_000, seconds=0.3, times=None))
    processes = [start(server.environment(tmp_path)) for _ in range(2)]
    outputs = [process.communicate(timeout=180) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    server.faults.clear()
    with server.client(tmp_path):
        encoder = load(SOURCE, local_files_only=True)
    assert_is_network(encoder)
    expected = float(encoder.layer4[1].conv2.weight.detach().double().sum())
    assert [float(out) for out, _ in outputs] == [expected, expected]
    assert_cache_is_whole(tmp_path)


def test_a_process_that_is_killed_during_a_download_leaves_nothing_in_the_way(server, tmp_path):
    server.publish(REPOSITORY, network())
    server.faults.append(Fault("GET .*safetensors", "slow", at=2_000, seconds=0.2, times=None))
    process = start(server.environment(tmp_path))
    try:
        while not server.calls("GET .*safetensors"):
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        time.sleep(0.5)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    server.faults.clear()
    assert list(tmp_path.rglob("*.incomplete"))
    with server.client(tmp_path):
        refuses("^model.safetensors of org/network@main is not in the cache", load, SOURCE, local_files_only=True)
        assert_is_network(load(SOURCE))
    assert_cache_is_whole(tmp_path)


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(server, tmp_path):
    server.publish(REPOSITORY, network())
    limited = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n" + textwrap.dedent(LOAD)
    ended = run_client(limited, server.environment(tmp_path), timeout=180)
    assert ended.returncode == 3, ended.stderr
    assert re.match(
        r"no space is left for model.safetensors of org/network@main \(.*File too large.*HF_HOME", ended.stdout
    )
    assert ended.stdout.count("\n") == 1
    assert_cache_is_whole(tmp_path)
    assert not list(tmp_path.rglob("*.incomplete"))
    with server.client(tmp_path):
        assert_is_network(load(SOURCE))


@pytest.mark.parametrize("place", ["file", "file/cache", "/proc/nothing", "/dev/null/cache"])
def test_a_cache_that_cannot_be_written_is_one_sentence(server, tmp_path, place):
    """Not even by root, who may write into any folder."""
    server.publish(REPOSITORY, network())
    (tmp_path / "file").write_text("in the way")
    with server.client(tmp_path / "home"):
        refuses(
            r"^the cache of the Hub's files cannot be written .* Set HF_HOME or",
            load,
            SOURCE,
            cache_dir=tmp_path / place,
        )
        assert_is_network(load(SOURCE))
    assert (tmp_path / "file").read_text() == "in the way"


READ_ONLY = """
    import os, sys
    from pathlib import Path
    import eqmodels
    place = Path(sys.argv[1])
    eqmodels.load("SOURCE")
    for path in (place, *place.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() else 0o444)
    if os.geteuid() == 0:  # who may write wherever he wants
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    for folder in (place, *place.rglob("snapshots/*")):
        try:
            (folder / "written").touch()
        except PermissionError:
            continue
        sys.exit(f"{folder} can be written")
    encoder = eqmodels.load("SOURCE")
    print(float(encoder.layer4[1].conv2.weight.detach().double().sum()))
"""


def test_a_cache_that_became_read_only_is_read(server):
    server.publish(REPOSITORY, network())
    # Not below pytest's folders, into which nobody else may look.
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        code = textwrap.dedent(READ_ONLY.replace("SOURCE", SOURCE))
        process = subprocess.run(
            [sys.executable, "-c", code, folder],
            env=server.environment(place / "home"),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        for path in (place, *place.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
    assert process.returncode == 0, process.stderr
    expected = parse(network()["model.safetensors"])["backbone.layer4.1.conv2.weight"]
    assert float(process.stdout) == float(expected.double().sum())


# Several at once on a damaged cache.


def damage_cache(home: Path) -> None:
    """One bit of every file."""
    for path in home.rglob("snapshots/*/*"):
        content = path.read_bytes()
        path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])


@pytest.mark.slow  # the undamaged cache, and the damaged one of one process, are tried each time
def test_two_processes_on_a_damaged_cache_both_have_the_network(server, tmp_path):
    server.publish(REPOSITORY, network())
    with server.client(tmp_path):
        Fetch(REPOSITORY).folder()
    damage_cache(tmp_path)
    # So slow that both are at it.
    server.faults.append(Fault("GET .*safetensors", "slow", at=10_000, seconds=0.3, times=None))
    processes = [start(server.environment(tmp_path)) for _ in range(2)]
    outputs = [process.communicate(timeout=180) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    expected = parse(network()["model.safetensors"])["backbone.layer4.1.conv2.weight"]
    assert [float(out) for out, _ in outputs] == [float(expected.double().sum())] * 2
    assert_cache_is_whole(tmp_path)


def test_threads_on_a_damaged_cache_all_have_whole_files(server, tmp_path):
    """Whatever the moment at which one of them looks, there is a file."""
    commit = server.publish(REPOSITORY, network())
    with server.client(tmp_path), ThreadPoolExecutor(4) as threads:
        Fetch(REPOSITORY).folder()
        for number in range(20):
            damage_cache(tmp_path)
            fetch = Fetch(REPOSITORY, None if number % 2 else commit)
            found = {future.result() for future in [threads.submit(fetch.folder) for _ in range(4)]}
            assert [folder.name for folder in found] == [commit]
            assert_cache_is_whole(tmp_path)


def test_a_file_that_vanishes_is_fetched_again(server, tmp_path, monkeypatch):
    """Between the moment at which the client names it and that at which it is read."""
    server.publish(REPOSITORY, network())
    with server.client(tmp_path):
        client = DOWNLOADING.hf_hub_download

        def vanishing(*arguments, **options):
            path = client(*arguments, **options)
            if ".eqmodels-" not in path:
                Path(path).unlink()
            return path

        monkeypatch.setattr(DOWNLOADING, "hf_hub_download", vanishing)
        assert_is_network(load(SOURCE))
        assert_cache_is_whole(tmp_path)
