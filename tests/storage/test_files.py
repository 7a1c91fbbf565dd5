"""Files are the old ones or the new ones, whole."""

from __future__ import annotations

import pytest

from eqmodels.storage import StorageError, prepare_folder, printable, reason_of, write_atomically, write_together


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
    for name in (".checkpoint.pt.123.part", ".other", "notes.part"):
        (tmp_path / name).write_text("")
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
