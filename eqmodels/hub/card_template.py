"""The templates of cards, into which words of files and folders go as words, and never as Markdown."""

from __future__ import annotations

from importlib.resources import files

import jinja2
from huggingface_hub import EvalResult

from eqmodels.storage import for_markdown

__all__ = ["Markdown", "card_template", "probe_result"]


class Markdown(str):
    """Markdown of our own, which a template takes as it is."""


def card_template(name: str) -> jinja2.Template:
    """The template of a file of this package.

    Args:
        name: of the file.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False, finalize=_harmless
    )
    return environment.from_string((files("eqmodels.hub") / name).read_text("utf-8"))


def probe_result(task: tuple[str, str], data: str, measured: str, accuracy: float) -> EvalResult:
    """A line of a card's metadata: what a linear probe of frozen features knows.

    Args:
        task: its type, one of the Hub's, and its name.
        data: the name of the data set, of whose test split it was asked.
        measured: which features and which inputs, in words.
        accuracy: from 0 to 1.
    """
    return EvalResult(
        task_type=task[0],
        task_name=task[1],
        dataset_type=data,
        dataset_name=data,
        dataset_split="test",
        metric_type="accuracy",
        metric_name=f"accuracy, {measured}",
        metric_value=round(accuracy, 4),
    )


def _harmless(value: object) -> object:
    """What the template puts into the card: words of files and folders, whatever holds them, are no Markdown."""
    return value if isinstance(value, Markdown | int | float) else for_markdown(str(value))
