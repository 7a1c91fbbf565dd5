"""What the tests of faults share: requests that go wrong for a while, and what must hold afterwards."""

from __future__ import annotations

from contextlib import contextmanager
from hashlib import sha1, sha256
from pathlib import Path

from eqmodels import EqmodelsError
from tests.hub.networks import TOKEN

STATUSES = {str(status): {"kind": "status", "status": status} for status in (401, 403, 404, 429, 500)}


@contextmanager
def broken(server, *faults):
    """For a while some requests go wrong; at least one did."""
    server.faults[:] = faults
    try:
        yield
        assert any(fault.seen for fault in faults)
    finally:
        server.faults.clear()


def assert_cache_is_whole(home: Path):
    """Asserts that what the cache offers as files has the hashes that they are stored under."""
    for path in home.rglob("snapshots/*/*"):
        content, name = path.read_bytes(), path.resolve().name
        known = sha256(content) if len(name) == 64 else sha1(b"blob %d\0" % len(content) + content)
        assert known.hexdigest() == name


def attempt(call, *arguments, **options):
    """What a call gives; None if it ends with one sentence."""
    try:
        return call(*arguments, **options)
    except EqmodelsError as error:
        words = str(error)
    assert "\n" not in words
    assert words.isprintable()
    assert 40 < len(words) < 1200
    assert TOKEN not in words
    return None
