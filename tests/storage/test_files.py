"""Files are the old ones or the new ones, whole."""

from __future__ import annotations

import pytest

from eqmodels.storage import StorageError, prepare_folder, write_atomically


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
