"""What a user should conclude from each table of docs/results.md, in figures of the committed files."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.standard.figures import WORDS, over_seeds, rows
from eqmodels.bench.suites import AVERAGED
from eqmodels.bench.supervised import EQUAL_TIME, OF_TURNED, SCRATCH
from eqmodels.reports import percent

__all__ = ["of_angles", "of_exponents", "of_fairness", "of_forms", "of_growth", "of_layers", "of_times"]

ROUNDING = {"float64": "2e-16", "float32": "1e-7", "bfloat16": "8e-3"}
"""The distance of 1 to the next number, of each precision."""
AS_IT_IS, ESCNN = "as it is", "escnn:"
FAIR = (
    ("resnet18s_w16", SCRATCH, "the plain network is right on"),
    ("resnet18s_w16", OF_TURNED, "where it learns of turned images, on"),
    (AVERAGED, SCRATCH, "where it learns as the mean over the turns of every image, in four times the time, on"),
    (AVERAGED, EQUAL_TIME, "the same in the time of the plain one on"),
    ("c4_resnet18s_w16", SCRATCH, "C4 on"),
    ("c4_resnet18s_w16", EQUAL_TIME, "C4 in the time of the plain one on"),
    ("d4_resnet18s_w16", EQUAL_TIME, "D4 in that time on"),
    ("d2_resnet18s_w16", SCRATCH, "the wrong group, D2, on"),
)
"""What is compared, in these words."""
PLAINLY = (("resnet18s_w16", SCRATCH), ("c4_resnet18s_w16", SCRATCH))
"""What is compared with the others, and stands in the table before."""


def of_times() -> str:
    """What a network with a group costs beside its plain twin of equal width."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows("throughput"):
        group, _, width = row["model"].partition("_")
        if group in ("c4", "d4") and width.split(".")[0].removeprefix("resnet") == _width(row["reference"]):
            found.setdefault((row["how"], row["batch_size"]), []).append(float(row["ratio"]))
    said = [f"{how}, batch {batch}: {min(ratios):.2f} .. {max(ratios):.2f}" for (how, batch), ratios in found.items()]
    return (
        f"Networks with a group beside the plain one of their own width: {'; '.join(said)}. To conclude: export what "
        "answers single images, as filters are expanded in every call; and compile what was exported, as a compiler "
        "arranges filters that stand, and not those that come anew."
    )


def _width(name: str) -> str:
    """The architecture of a plain network without its first word, such as ``18s_w16``."""
    return name.split(".", maxsplit=1)[0].removeprefix("resnet")


def of_forms() -> str:
    """Which forms turn with the image as exactly as the network itself."""
    worst: dict[str, float] = {}
    for row in rows("forms"):
        if row["own"] == "True":
            worst[row["form"]] = max(worst.get(row["form"], 0.0), float(row["error"]))
    exact = max(error for form, error in worst.items() if form != "int8")
    return (
        "To conclude: trained, exported or run by ONNX Runtime, a network turns as exactly as before, to "
        f"{exact:.0e} at most; in 8 bits to {worst['int8']:.0e}, where a rounding falls otherwise."
    )


def of_layers() -> str:
    """That what is left is the rounding of each precision, in every layer and form; and of whose filters it is more."""
    worst: dict[tuple[str, str], float] = {}
    theirs: dict[str, float] = {}
    for row in rows("layers"):
        if row["error"] and row["model"].startswith(ESCNN):
            theirs[row["precision"]] = max(theirs.get(row["precision"], 0.0), float(row["error"]))
        elif row["error"]:
            place = row["form"], row["precision"]
            worst[place] = max(worst.get(place, 0.0), float(row["error"]))
    said = [
        f"{error:.0e} in {name} (1 and its neighbour: {ROUNDING[name]})"
        for (form, name), error in worst.items()
        if form == AS_IT_IS
    ]
    others = [f"{form} {error:.0e}" for (form, _), error in worst.items() if form != AS_IT_IS]
    text = f"To conclude: no layer errs by more than rounding: at most {', '.join(said)}"
    text += f"; {', '.join(others)} at most." if others else "."
    if "float64" in theirs:
        text += (
            f" Layers of escnn's own modules err by up to {theirs['float64']:.0e} in float64 too, as their filters' "
            "basis is computed in float32."
        )
    return text


def of_fairness() -> str:
    """What augmentation, equal time and the wrong group make of training on all images; empty if none was measured."""
    figures = ("upright", "turned", "steps")
    found = {name: over_seeds("supervised", ("model", "training", "train_images"), _column(name)) for name in figures}
    counts = [int(images) for *_, images in found["upright"]]
    said, fair = [], 0
    for name, how, words in FAIR:
        place = name, how, str(max(counts, default=0))
        if place in found["upright"]:
            upright, turned = (percent(found[figure][place].mean) for figure in figures[:2])
            steps = f" after {found['steps'][place].mean:.0f} steps" if how == EQUAL_TIME else ""
            said.append(f"{words} {upright}% upright and {turned}% turned{steps}")
            fair += (name, how) not in PLAINLY
    if not fair:
        return ""
    return f"Fairness, on all {max(counts):,} images, from scratch: {'; '.join(said)}."


def _column(name: str) -> Callable[[dict[str, str]], float]:
    return lambda row: float(row[name])


def of_exponents() -> str:
    """What the growth of the time means for a larger machine."""
    values = [float(row["exponent"]) for row in rows("scaling")]
    return (
        f"To conclude: time grows by the powers {min(values):.2f} to {max(values):.2f} of width and size, and "
        "multiply-adds by 2: small networks do not fill this machine, and would fill a larger one less. There wider "
        "networks and larger images cost less than their multiply-adds say, until the exponent is 2."
    )


def of_growth() -> str:
    """By how much twice the labels make the error smaller."""
    found = over_seeds("growth", ("model", "data"), lambda row: float(row["exponent"]))
    said = {data: [1 - 2**value.mean for (_, own), value in found.items() if own == data] for _, data in found}
    words = [f"{percent(min(parts))} to {percent(max(parts))}% on {WORDS[data]}" for data, parts in said.items()]
    return (
        f"To conclude: twice the labelled images make the error of a probe smaller by {' and by '.join(words)}, as a "
        "mean over these numbers of images; where that is little, other features help more than labels."
    )


def of_angles() -> str:
    """What happens between quarter turns, and beyond."""
    found = over_seeds("angles", ("model", "data", "degrees"), lambda row: float(row["accuracy"]))
    worst: dict[bool, list[float]] = {True: [], False: []}
    for name, data, degrees in found:
        if degrees == "0" and "." in name:
            own = [value.mean for (one, of, _), value in found.items() if (one, of) == (name, data)]
            worst[name.split("_")[0] in ("c4", "d4")].append(min(own))
    return (
        "To conclude: a group of quarter turns helps at quarter turns, and between them features change as those of a "
        f"plain network do: at its worst angle a pretrained network with a group is right on {_range(worst[True])}%, "
        f"a plain one on {_range(worst[False])}%. Whose pictures lie at any angle trains on turned ones too."
    )


def _range(shares: list[float]) -> str:
    low, high = percent(min(shares)), percent(max(shares))
    return low if low == high else f"{low} to {high}"
