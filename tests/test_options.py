"""Options are read off signatures and docstrings: types, defaults, choices and help stand in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from eqmodels.options import REQUIRED, check_options, documented, options_of


class Network:
    """A network.

    Args:
        architecture: which one; ``"small"`` has
            few layers, see `Network`.
        width: dense channels, ``|G| fields``.
        norm (str): the normalisation.
        kernel_size: None for the default.
        rate: of dropout.
        circular: whether there is a circle.
        sizes: of images.
        parts: by name.
        path: of a file.
        anything: at all.

    Raises:
        ValueError: if width: is not what it should be.
    """

    def __init__(
        self,
        architecture: str,
        *,
        width: int = 64,
        norm: Literal["batch", "layer"] = "batch",
        kernel_size: int | None = None,
        rate: float = 0.0,
        circular: bool = False,
        sizes: Sequence[int] = (),
        parts: Mapping[str, int] | None = None,
        path: Path | str = ".",
        basis: Literal["pixel", "harmonic", None] = None,
        anything: Any = None,
        untyped=3,
        **rest: Any,
    ) -> None:
        pass


OPTIONS = options_of(Network)


def test_options_stand_in_the_order_of_the_signature():
    assert list(OPTIONS) == [
        *("architecture", "width", "norm", "kernel_size", "rate", "circular", "sizes", "parts", "path", "basis"),
        *("anything", "untyped"),
    ]
    assert list(options_of(Network, without=("architecture", "path")))[:2] == ["width", "norm"]


@pytest.mark.parametrize(
    ("name", "kinds", "choices", "optional", "default"),
    [
        ("architecture", (str,), (), False, REQUIRED),
        ("width", (int,), (), False, 64),
        ("norm", (), ("batch", "layer"), False, "batch"),
        ("kernel_size", (int,), (), True, None),
        ("rate", (float,), (), False, 0.0),
        ("circular", (bool,), (), False, False),
        ("path", (), (), False, "."),
        ("basis", (), ("pixel", "harmonic"), True, None),
        ("anything", (), (), True, None),
    ],
)
def test_types_choices_and_defaults_are_those_of_the_signature(name, kinds, choices, optional, default):
    option = OPTIONS[name]
    assert (option.name, option.kinds, option.choices, option.optional) == (name, kinds, choices, optional)
    assert option.default is default or option.default == default


def test_help_is_what_the_docstring_says_without_markup():
    assert OPTIONS["architecture"].help == "which one; small has few layers, see Network."
    assert OPTIONS["width"].help == "dense channels, |G| fields."
    assert OPTIONS["norm"].help == "the normalisation."
    assert OPTIONS["untyped"].help == ""
    assert "ValueError" not in documented(Network)


def test_functions_have_options_too():
    def crop(images, size: int, *, scale: float = 0.5):
        """Crops.

        Args:
            images: anything.
            size: pixels.
            scale: relative.
        """

    options = options_of(crop, without=("images",))
    assert {name: (option.kinds, option.help) for name, option in options.items()} == {
        "size": ((int,), "pixels."),
        "scale": ((float,), "relative."),
    }


def test_what_has_no_docstring_has_options_without_help():
    options = options_of(lambda size=3: size)
    assert (options["size"].default, options["size"].help) == (3, "")
    assert documented(lambda: None) == {}


# Checking.


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"width": 8},
        {"norm": "layer"},
        {"kernel_size": None},
        {"kernel_size": 5},
        {"rate": 1},
        {"rate": 0.5},
        {"circular": True},
        {"sizes": [1, 2]},
        {"sizes": (1, 2)},
        {"parts": {"a": 1}},
        {"parts": None},
        {"basis": None},
        {"anything": Network},
    ],
    ids=str,
)
def test_values_of_their_types_pass_unchanged(values):
    given = {"architecture": "small"} | values
    assert check_options(Network, given, subject="network 'n'") == given


@pytest.mark.parametrize(
    ("values", "error", "sentence"),
    [
        ({"widht": 8}, TypeError, "network 'n' has no option 'widht'; its options are architecture, width, norm, "),
        ({"widht": 8}, TypeError, "Use 'width', or drop it."),
        ({"zzz": 8}, TypeError, "untyped. Drop it."),
        ({"width": 8.0}, TypeError, "width must be an integer; got 8.0. Use 64."),
        ({"width": True}, TypeError, "width must be an integer; got True. Use 64."),
        ({"width": None}, TypeError, "width must be an integer; got None. Use 64."),
        ({"rate": "0.5"}, TypeError, "rate must be a number; got '0.5'. Use 0.0."),
        ({"circular": 1}, TypeError, "circular must be True or False; got 1. Use False."),
        ({"architecture": 3}, TypeError, "architecture must be a word; got 3."),
        ({"sizes": 3}, TypeError, "sizes must be a list of values; got 3. Use ()."),
        ({"parts": [1]}, TypeError, "parts must be an object of names and values; got [1]. Use None."),
        ({"norm": "group"}, ValueError, "norm must be one of batch, layer; got 'group'. Use 'batch'."),
        ({"basis": "fourier"}, ValueError, "basis must be one of pixel, harmonic; got 'fourier'. Use None."),
    ],
    ids=str,
)
def test_what_is_no_option_or_no_value_of_it_is_answered_in_one_sentence(values, error, sentence):
    with pytest.raises(error) as found:
        check_options(Network, {"architecture": "small"} | values, subject="network 'n'")
    assert sentence in str(found.value)
    assert "\n" not in str(found.value)
    assert str(found.value).endswith(".")


def test_a_required_option_is_missed():
    with pytest.raises(TypeError, match=r"network 'n' needs the option 'architecture'; got {'width': 8}"):
        check_options(Network, {"width": 8}, subject="network 'n'")
    assert check_options(Network, {"width": 8}, subject="network 'n'", without=("architecture",)) == {"width": 8}


def test_what_has_no_options_says_so():
    with pytest.raises(TypeError, match=r"task 't' has no option 'a'; its options are none\. Drop it\."):
        check_options(lambda: None, {"a": 1}, subject="task 't'")


def test_values_that_are_left_out_are_not_given():
    with pytest.raises(TypeError, match="has no option 'architecture'"):
        check_options(Network, {"architecture": "small"}, subject="network 'n'", without=("architecture",))
