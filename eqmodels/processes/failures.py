"""What ends several processes together: the same error on each of them, and one that says that another is gone."""

from __future__ import annotations

import pickle
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from torch import distributed

from eqmodels.errors import EqmodelsError

__all__ = ["ProcessError", "Terminated", "is_lost", "portable", "told_when_terminated"]

_LOST = re.compile("by peer|[Bb]roken pipe|[Tt]imed out waiting|[Cc]onnection (was )?(closed|refused|reset)|gloo")
"""What gloo, which has no type of error of its own, says where another process is gone."""


class ProcessError(EqmodelsError):
    """A process that ends because another, with which it shares its work, is gone."""


class Terminated(BaseException):
    """What SIGTERM becomes: no error that work could be tried again after, and so none of Python's ``Exception``."""


def is_lost(error: RuntimeError) -> bool:
    """Whether an error says that the connection to another process was lost."""
    is_of_torch = isinstance(error, distributed.DistError) or bool(_LOST.search(str(error)))
    return is_of_torch and not isinstance(error, EqmodelsError)


def portable(error: Exception) -> Exception:
    """The error as another process can have it: itself, or one of the nearest common type that says the same."""
    try:
        found = pickle.loads(pickle.dumps(error))
        if type(found) is type(error) and str(found) == str(error):
            return error
    except Exception:
        pass
    common = (TypeError, ValueError, ModuleNotFoundError, OSError, EqmodelsError)
    kind = next((kind for kind in common if isinstance(error, kind)), RuntimeError)
    return kind(str(error))


@contextmanager
def told_when_terminated() -> Iterator[None]:
    """A context in which SIGTERM raises `Terminated`: torchrun sends it to all when one has failed.

    Only the main thread may handle signals; elsewhere SIGTERM is somebody else's affair, and so it is where it is
    handled or left alone already.
    """
    is_ours = threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated
