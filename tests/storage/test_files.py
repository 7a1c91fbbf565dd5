"""Files are the old ones or the new ones, whole."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from eqmodels.storage import (
    StorageError,
    claimed_folder,
    prepare_folder,
    printable,
    reason_of,
    write_atomically,
    write_together,
)


def test_a_file_is_written_whole(tmp_path):
    write_atomically(tmp_path / "file", "Grüße")
    write_atomically(tmp_path / "bytes", b"\x00\xff")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "Grüße"
    assert (tmp_path / "bytes").read_bytes() == b"\x00\xff"
    assert {file.name for file in tmp_path.iterdir()} == {"file", "bytes"}


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(tmp_path, monkeypatch, call, error):
    (tmp_path / "file").write_text("old")

    def fail(*_):
        raise error

    monkeypatch.setattr("os.fsync" if call == "fsync" else "pathlib.Path.replace", fail)
    with pytest.raises((StorageError, KeyboardInterrupt)) as caught:
        write_atomically(tmp_path / "file", "new")
    if isinstance(error, OSError):
        assert str(caught.value).startswith(
            f"{tmp_path}/file could not be written (No space left on device); the one from before is intact. Free some"
        )
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("file", "old")]


def test_what_a_killed_run_half_wrote_is_removed_and_nothing_else(tmp_path):
    for name in (".checkpoint.pt.123.part", ".log.csv.45-0a1b2c3d.part", ".other", "notes.part"):
        (tmp_path / name).write_text("half")
    prepare_folder(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {".other", "notes.part"}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_files_that_belong_together_are_all_the_old_ones_until_all_are_on_the_disk(tmp_path, monkeypatch, number):
    names = ("a", "b", "c")
    for name in names[:2]:
        (tmp_path / name).write_text("old")
    calls = []

    def fail(_):
        calls.append(1)
        if len(calls) > number:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patches:
        patches.setattr("os.fsync", fail)
        kept = "the one from before is intact" if number < 2 else "nothing was written"
        with pytest.raises(StorageError, match=rf"/{names[number]} could not be written \(No space.*; {kept}"):
            write_together({tmp_path / name: "new" for name in names})
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a": "old", "b": "old"}
    write_together({tmp_path / name: "new" for name in names})
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == dict.fromkeys(names, "new")


def test_a_function_writes_part_by_part_or_nothing_at_all(tmp_path):
    file = tmp_path / "parts"
    write_atomically(file, lambda stream: [stream.write(bytes([part]) * 3) for part in range(4)])
    assert file.read_bytes() == b"\0\0\0\1\1\1\2\2\2\3\3\3"

    def fail(stream):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match=r"/parts could not be written \(No space.*; the one from before is intact"):
        write_atomically(file, fail)
    assert [path.name for path in tmp_path.iterdir()] == ["parts"]
    assert len(file.read_bytes()) == 12


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(2, "No such file", "/a"), "No such file"),
        (OSError("of a library"), "of a library"),
        (ValueError("two\n  lines"), "two lines"),
        (ValueError("\x1b[1mbold\x1b[0m and \x1b[31;1mred"), "bold and red"),
        (ValueError("\x07\ud800"), r"'\x07\ud800'"),
        (KeyError(), "KeyError"),
        (ValueError("é"), "é"),
    ],
)
def test_the_reason_of_an_error_is_a_line_that_any_terminal_shows(error, reason):
    assert reason_of(error) == reason


def test_what_a_server_said_comes_first():
    error = OSError(5, "Input/output error")
    error.server_message = "Too many\nrequests"
    assert reason_of(error) == "Too many requests"


def test_long_words_lose_their_middle():
    words = printable("a" * 5000 + "z")
    assert len(words) <= 200
    assert words.endswith("aaz")
    assert printable("a" * 200) == "a" * 200
    assert len(reason_of(ValueError("\ud800" * 5000))) <= 200


def elsewhere(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of its own, that has printed "ready" and waits for a line."""
    program = f"import sys, pathlib\nfrom eqmodels.storage import *\n{code}"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


CLAIM = "with claimed_folder(pathlib.Path(sys.argv[1])):\n    print('ready', flush=True)\n    sys.stdin.readline()"
WRITE = """
import os
fsync = os.fsync
os.fsync = lambda number: (print("ready", flush=True), sys.stdin.readline(), fsync(number))
write_atomically(pathlib.Path(sys.argv[1]), "whole")
"""


def test_what_a_living_process_writes_is_left_alone_and_what_a_dead_one_wrote_is_not(tmp_path):
    living, dead = (elsewhere(WRITE, tmp_path / name) for name in ("living", "dead"))
    os.kill(dead.pid, signal.SIGKILL)
    dead.communicate()
    assert len(list(tmp_path.glob(".*.part"))) == 2
    prepare_folder(tmp_path)
    assert [file.name.split(".")[1] for file in tmp_path.glob(".*.part")] == ["living"]
    living.communicate("\n")
    assert living.returncode == 0
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("living", "whole")]


def test_a_folder_is_claimed_by_one_process_at_a_time(tmp_path):
    folder = tmp_path / "run"
    other = elsewhere(CLAIM, folder)
    (folder / "file").write_text("theirs")
    with pytest.raises(StorageError, match=rf"^another process trains in {re.escape(str(folder))}\. Wait until it is"):
        claimed_folder(folder).__enter__()
    other.communicate("\n")
    assert {file.name for file in folder.iterdir()} == {"file"}
    with claimed_folder(folder):
        assert {file.name for file in folder.iterdir()} == {"file", ".lock"}
        with pytest.raises(StorageError, match="another process trains in"):  # not even in another thread
            claimed_folder(folder).__enter__()
    assert {file.name for file in folder.iterdir()} == {"file"}


def test_the_claim_of_a_killed_process_ends_with_it(tmp_path):
    other = elsewhere(CLAIM, tmp_path)
    os.kill(other.pid, signal.SIGKILL)
    other.communicate()
    assert (tmp_path / ".lock").exists()
    with claimed_folder(tmp_path):
        pass
    assert not any(tmp_path.iterdir())


def test_folders_into_which_nothing_was_put_are_taken_away_and_others_are_not(tmp_path):
    with pytest.raises(ValueError, match="refused"), claimed_folder(tmp_path / "a" / "b"):
        raise ValueError("refused")
    assert not any(tmp_path.iterdir())
    with claimed_folder(tmp_path / "a" / "b"):
        (tmp_path / "a" / "file").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "file"]
    with claimed_folder(tmp_path / "a"):
        pass
    (tmp_path / "empty").mkdir()
    with claimed_folder(tmp_path / "empty"):
        pass
    assert (tmp_path / "empty").is_dir()


def test_without_locks_nobody_is_kept_out_and_nothing_is_removed(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", no_locks)
    (tmp_path / ".file.123.part").write_text("of whom?")
    with claimed_folder(tmp_path), claimed_folder(tmp_path):
        write_atomically(tmp_path / "file", "whole")
    assert {file.name for file in tmp_path.iterdir()} == {"file", ".file.123.part"}


def test_a_folder_that_cannot_be_written_is_named_with_its_option(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"^files are to be written into .*file/in.* Choose another \(--output\)\.$"):
        prepare_folder(tmp_path / "file" / "in", option="--output")
