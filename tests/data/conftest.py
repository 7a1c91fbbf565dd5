"""What tests of images in files have in common."""

from __future__ import annotations

import pytest

from eqmodels.data import pictures


@pytest.fixture
def decodes(monkeypatch) -> list:
    """What this process decodes, the content of a file each time."""
    found = []

    def counted(content, *arguments, **options):
        found.append(content)
        return picture_of(content, *arguments, **options)

    picture_of = pictures.picture_of
    monkeypatch.setattr(pictures, "picture_of", counted)
    return found
