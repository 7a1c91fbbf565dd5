"""Pages of HTML: one layout for all of them, in light and in dark, on a phone and on a desk."""

from __future__ import annotations

from importlib import resources
from typing import Any

from eqmodels.arguments import check_arguments

__all__ = ["rendered"]

HERE = "eqmodels.reports"


def rendered(template: str, package: str, **values: Any) -> str:  # noqa: ANN401 (what templates show)
    """The text of a page by a template of Jinja, which extends ``base.html.j2`` of this package.

    What stands in values is shown as words, whatever it holds; a name that the template uses and nobody gives is an
    error.

    Args:
        template: the name of its file.
        package: that has it; parts that it does not have are those of this package.
        **values: what the template shows, by name.

    Raises:
        TypeError: if an argument is of another type.
        jinja2.TemplateError: if there is no such template, it is none, or a value is missing.
    """
    check_arguments(rendered, {"template": template, "package": package})
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(lambda name: _source(name, package)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values) + "\n"


def _source(name: str, package: str) -> str | None:
    """The text of a part of a page; None if there is none."""
    for home in (package, HERE):
        file = resources.files(home) / name
        if file.is_file():
            return file.read_text(encoding="utf-8")
    return None
