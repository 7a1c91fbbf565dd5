"""README's table and what it says, and the tables of docs/results.md: ``python -m benchmarks.standard`` writes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks._sections import write_section
from benchmarks.standard import capacity, conclusions, poolings, rotated
from benchmarks.standard.figures import RESULTS, WORDS, Measured, measured, over_seeds, pretrained, rows, where
from benchmarks.standard.picture import PICTURE, draw
from eqmodels.bench.engines import HOWS
from eqmodels.bench.supervised import EQUAL_TIME, OF_TURNED
from eqmodels.measures import Estimate
from eqmodels.pages.benchmark import PAGE
from eqmodels.reports import Table, percent

README = Path(__file__).parents[2] / "README.md"
DOCUMENT = README.parent / "docs" / "results.md"
SECTION = "standard"

PAIRS = {
    "clothes": (
        "resnet18s_w16.rot_fmnist_simclr",
        "c4_resnet18s_w16.rot_fmnist_simclr",
        "d4_resnet18s_w16.rot_fmnist_simclr",
    ),
    "clip art": ("resnet18_w32.distil_lite0", "c4_resnet18_w32.distil_lite0", "d4_resnet18_w32.distil_lite0"),
}
"""The plain network, C4 and D4 of equal multiply-adds, pretrained alike, by their images."""


def short_table(found: dict[str, Measured]) -> str:
    """The pretrained networks, in README."""
    cells = []
    for one in pretrained(found):
        own = [one.quality[name].mean for name in ("upright", "turned", "mirrored", "changed_turned", "labels_20")]
        about = [f"`{one.name}`", WORDS[one.data], f"{one.parameters:.2f}M"]
        cells.append([*about, *map(percent, own), one.time("exported", 64)])
    header = ["pretrained network", "images", "parameters", "upright", "turned", "mirrored", "changed"]
    header += ["20 labels a class", "time, exported"]
    return Table(header, cells, left=2).markdown(as_it_is=True)


def conclusion(found: dict[str, Measured]) -> str:
    """What the figures say, upright and turned."""
    parts = []
    for words, names in PAIRS.items():
        plain, c4, d4 = (found[name] for name in names)
        parts.append(
            f"on {words} turning by quarters changes {_share(plain)} of the plain network's answers, whose accuracy "
            f"falls from {_accuracy(plain, 'upright')} to {_accuracy(plain, 'turned')}%; C4 keeps "
            f"{_accuracy(c4, 'turned')}% and D4 {_accuracy(d4, 'turned')}%, and neither changes an answer"
        )
    errors = [one.error for one in found.values() if one.error is not None]
    errors += [float(row["error"]) for row in rows("forms") if (row["own"], row["form"]) == ("True", "as it is")]
    of_plain, more = [], []
    for names in PAIRS.values():
        plain, *others = (found[name] for name in names)
        of_plain.append([one.parameters / plain.parameters for one in others])
        more += [one.gmacs / plain.gmacs - 1 for one in others]
    shares = [" and ".join(f"{100 * one:.0f}%" for one in group) for group in zip(*of_plain, strict=True)]
    return (
        "**What to conclude.** Where pictures have no way up, take C4, or D4 if they may be mirrored too: "
        f"{'; '.join(parts)}. That is arithmetic, not training: the largest error of any network for any own move is "
        f"{max(errors):.0e} in float32. C4 has {shares[0]} of the plain networks' parameters and D4 {shares[1]}, the "
        f"head that finds the pose among them, and at most {100 * max(more):.1f}% more multiply-adds."
    )


def losses(found: dict[str, Measured]) -> str:
    """Where an equivariant network is behind, and what it does not do."""
    behind, ahead = [], []
    for words, names in PAIRS.items():
        plain, *others = (found[name] for name in names)
        for group, one in zip(("C4", "D4"), others, strict=True):
            difference = one.quality["upright"].minus(plain.quality["upright"])
            clear = not difference.low <= 0 <= difference.high
            said = f"{group} on {words} ({percent(difference.mean, signed=True)} points)"
            if difference.mean < 0:
                behind.append(said if clear else f"{said[:-1]}, within the interval)")
            else:
                ahead.append(said if clear else f"{said[:-1]}, within the interval)")
    c4 = found[PAIRS["clothes"][1]]
    said = f"the plain network of equal multiply-adds is ahead of {_and(behind)}" if behind else "nobody is behind"
    said += f"; it is behind {_and(ahead)}" if behind and ahead else ""
    training = ""
    if ("training", 64) in c4.times:
        training = f" A step of training takes {c4.time('training', 64)} times as long."
    return (
        f"**Where it loses.** Upright, {said}: who knows which way up all pictures are may do without a group. A group "
        f"of turns does nothing for mirrored pictures ({_accuracy(c4, 'mirrored')}% of C4 on clothes). As it is, a "
        f"C4 network takes {c4.time('eager', 64)} times as long as the plain one for 64 images and "
        f"{c4.time('eager', 1)} times for one, as its filters are expanded in every call; exported "
        f"{c4.time('exported', 64)} and {c4.time('exported', 1)} times."
        f"{training}{_averaged(found)}{_between()}{_trained_words()}"
    )


def _averaged(found: dict[str, Measured]) -> str:
    """What the plain networks know once they are averaged over the turns of their images, if it was measured."""
    said = []
    for words, (plain, c4, *_) in PAIRS.items():
        name = f"symmetrised:c4:{plain}"
        if name in found:
            said.append(f"{_accuracy(found[name], 'turned')}% of {words} (C4 {_accuracy(found[c4], 'turned')}%)")
    if not said:
        return ""
    return (
        " A plain network that is averaged over the four turns of every image does not change its answers either, for "
        f"four times the multiply-adds and without another training: it is right on {_and(said)}."
    )


def _between() -> str:
    """What lies between quarter turns, if it was measured."""
    curves = over_seeds("angles", ("model", "degrees"), lambda row: float(row["accuracy"]))
    name = PAIRS["clothes"][1]
    if (name, "45") not in curves:
        return ""
    return (
        f" Between quarter turns nothing is promised: in a circle C4 falls from {percent(curves[name, '0'].mean)}% "
        f"upright to {percent(curves[name, '45'].mean)}% at 45 degrees."
    )


def _trained_words() -> str:
    """What training on all images upright gives, from scratch and of pretrained weights, if it was measured."""
    said = []
    key = ("training", "train_images", "model")
    accuracies = [
        over_seeds("supervised", key, lambda row: float(row["upright"])),
        over_seeds("supervised", key, lambda row: float(row["turned"])),
    ]
    plain_name, c4_name, *_ = PAIRS["clothes"]
    for training, names in {
        "from scratch": ("resnet18s_w16", "c4_resnet18s_w16"),
        "fine-tuned": (plain_name, c4_name),
    }.items():
        count = max((int(images) for how, images, _ in accuracies[0] if how == training), default=0)
        places = [(training, str(count), name) for name in names]
        if all(place in accuracies[0] for place in places):
            found = [accuracy[place] for place in places for accuracy in accuracies]
            plain, turned, c4, c4_turned = [percent(one.mean) for one in found]
            seeds = min(one.count for one in found)
            said.append(
                f"{training} on {count:,} upright images of clothes, {f'{seeds} seeds' if seeds > 1 else 'one seed'}, "
                f"the plain network is right on {plain}% upright and {turned}% turned, C4 on {c4}% and {c4_turned}%"
            )
    return f" Trained {'; '.join(said)}." if said else ""


def _and(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _share(one: Measured) -> str:
    return f"{percent(one.quality['changed_turned'].mean)}%"


def _accuracy(one: Measured, name: str) -> str:
    return percent(one.quality[name].mean)


def readme_section() -> str:
    """What README shows: one picture, one table, and what they say."""
    found = measured()
    return "\n\n".join(
        [
            f"![Accuracy upright and turned](benchmarks/results/standard/{PICTURE})",
            short_table(found),
            f"{_legend()} [The same on a page](benchmarks/results/standard/{PAGE}), to sort and to look at.",
            conclusion(found),
            losses(found),
        ]
    )


def _legend() -> str:
    return (
        "Linear probes of frozen features, learned from upright training images, on held-out images, in %; *changed*: "
        "answers other than upright when the image turns by a quarter; *time*: of a forward pass of 64 images in stock "
        "layers, beside the first plain network on the same images, median and quartiles over interleaved rounds. "
        f"Means of three seeds that choose labels and what probes hold out; one pretraining each. {where()}."
    )


def document_section() -> str:
    """What docs/results.md shows."""
    found = measured()
    return "\n\n".join(part for part in _parts(found) if part)


def _parts(found: dict[str, Measured]) -> Iterator[str]:
    yield f"`eqmodels bench --suite standard`, {where()}. Means of three seeds with 95% intervals."
    yield "Quality, in %:"
    cells = [
        [f"`{one.name}`", WORDS[one.data], *(value.as_percent() for value in one.quality.values())]
        for one in found.values()
    ]
    header = [
        "network",
        "images",
        "upright",
        "turned",
        "mirrored",
        "changed by turns",
        "by mirroring",
        "kNN",
        "20 labels",
    ]
    yield Table(header, cells, left=2).markdown(as_it_is=True)
    yield _beside(found)
    yield conclusion(found).replace("**What to conclude.** Where", "To conclude: where")
    yield (
        "Names without a dot are of networks as they were initialised: pooling over the group leaves C4 32 and D4 16 "
        "of their 128 features. Pretrained ones give canonical features, of which all 128 are left."
    )
    every = [(how, batch) for how in HOWS for batch in (1, 64)]
    ways = [way for way in every if any(way in one.times for one in found.values())]
    yield "Time of a step beside the first plain network on the same images, interleaved, with quartiles:"
    cells = [
        [f"`{one.name}`", f"{one.parameters:.2f}M", f"{one.gmacs:.4f}", *(one.time(*way) for way in ways)]
        for one in found.values()
    ]
    header = ["network", "parameters", "GMACs", *(f"{how}, batch {batch}" for how, batch in ways)]
    yield Table(header, cells).markdown(as_it_is=True)
    yield conclusions.of_times()
    yield from _forms()
    yield from _layers()
    yield from _exponents()
    yield from _curves()
    yield from _trained()
    yield from rotated.section()
    yield from capacity.section()


def _beside(found: dict[str, Measured]) -> str:
    """What the names mean that are not of this package's networks alone; empty without such."""
    meanings = {
        "symmetrised:": "averaged over the orbit of a group",
        "canonicalised:": "shown images that a pretrained network turns upright, which it never learned with",
        "random:": "of others, with random weights",
        "escnn:": "of escnn's own modules",
        "d2_": "of a wrong group, half turns and flips",
    }
    said = [
        f"`{prefix}` {words}" for prefix, words in meanings.items() if any(name.startswith(prefix) for name in found)
    ]
    return f"Beside the networks of the package: {'; '.join(said)}." if said else ""


def _forms() -> Iterator[str]:
    """The largest error over own moves of every form."""
    worst: dict[str, dict[str, float]] = {}
    for row in rows("forms"):
        if row["own"] == "True":
            own = worst.setdefault(row["model"], {})
            own[row["form"]] = max(own.get(row["form"], 0.0), float(row["error"]))
    if worst:
        names = list(dict.fromkeys(row["form"] for row in rows("forms")))
        yield "Largest error over own moves, on 64 held-out images, in float32 and in convolutions of 8 bits:"
        cells = [[f"`{name}`", *(f"{own[form]:.0e}" for form in names)] for name, own in worst.items()]
        yield Table(["network", *names], cells).markdown(as_it_is=True)
        yield conclusions.of_forms()


def _layers() -> Iterator[str]:
    """The worst layer of every network with a group, by form and precision."""
    worst: dict[str, dict[tuple[str, str], dict[str, str]]] = {}
    for row in rows("layers"):
        own, place = worst.setdefault(row["model"], {}), (row["form"], row["precision"])
        if place not in own or float(row["error"] or "inf") > float(own[place]["error"] or "inf"):
            own[place] = row
    if worst:
        places = list(dict.fromkeys(place for own in worst.values() for place in own))
        yield "The worst layer of every network for its own moves, of all of its layers (`layers.csv`):"
        cells = [
            [f"`{name}`", *(_worst(own[place]) if place in own else "-" for place in places)]
            for name, own in worst.items()
        ]
        header = ["network", *(f"{form}, {precision}" for form, precision in places)]
        yield Table(header, cells, left=len(header)).markdown(as_it_is=True)
        yield conclusions.of_layers()


def _worst(row: dict[str, str]) -> str:
    return f"{row['error'] or 'not finite'} ({row['layer']})"


def _exponents() -> Iterator[str]:
    scaling = {(row["family"], row["axis"]): row for row in rows("scaling")}
    if scaling:
        yield "Exponents of the time of a forward pass of four images, with 95% intervals; multiply-adds have 2:"
        cells = [[f"`{family}`", axis, _exponent(row)] for (family, axis), row in scaling.items()]
        yield Table(["family", "over", "exponent"], cells, left=2).markdown(as_it_is=True)
        yield conclusions.of_exponents()
    growth = over_seeds("growth", ("model", "data", "train_images"), lambda row: float(row["error"]))
    fitted = {(row["model"], row["data"]): row for row in rows("growth") if row["seed"] == "0"}
    if fitted:
        counts = sorted({int(count) for *_, count in growth})
        yield "Error of a probe over its training images, in %, and the exponent of the first seed:"
        cells = [
            [f"`{name}`", WORDS[row["data"]]]
            + [_or(growth.get((name, row["data"], str(count)))) for count in counts]
            + [_exponent(row)]
            for (name, _), row in fitted.items()
        ]
        yield Table(["network", "images", *map(str, counts), "exponent"], cells, left=2).markdown(as_it_is=True)
        yield conclusions.of_growth()


def _curves() -> Iterator[str]:
    curves = over_seeds("angles", ("model", "data", "degrees"), lambda row: float(row["accuracy"]))
    names = dict.fromkeys((name, data) for name, data, _ in curves)
    if names:
        degrees = ["0", "15", "30", "45", "60", "75", "90"]
        yield "Accuracy over the angles, in a circle, in %, of the seeds that were measured:"
        cells = [
            [
                f"`{name}`",
                WORDS[data],
                *(percent(curves[name, data, one].mean) for one in degrees),
                percent(min(value.mean for (own, *_), value in curves.items() if own == name)),
            ]
            for name, data in names
        ]
        yield Table(["network", "images", *(f"{one}°" for one in degrees), "worst"], cells, left=2).markdown(
            as_it_is=True
        )
        yield conclusions.of_angles()


def _trained() -> Iterator[str]:
    key = ("model", "training", "train_images")
    upright = over_seeds("supervised", key, lambda row: float(row["upright"]))
    turned = over_seeds("supervised", key, lambda row: float(row["turned"]))
    counts = sorted({int(count) for *_, count in upright})
    if counts:
        yield (
            f"Trained on upright images without augmentation, 200 steps of 64 images{_other_ways()}; upright, and "
            "turned by quarters, in %. Canonical features are averaged over the predicted poses while they are "
            "fine-tuned, so that what predicts the pose learns along (`canonical-soft`, as in `eqmodels finetune`):"
        )
        cells = []
        for name, how in dict.fromkeys((name, how) for name, how, _ in upright):
            row = [f"`{name}`", how]
            for count in counts:
                own = (name, how, str(count))
                row += [_or(upright.get(own)), _or(turned.get(own))]
            cells.append(row)
        header = ["network", "training", *(word for count in counts for word in (f"{count:,} images", "turned"))]
        yield Table(header, cells, left=2).markdown(as_it_is=True)
        yield f"To conclude: {_trained_words().strip()[0].lower()}{_trained_words().strip()[1:]}"
        yield conclusions.of_fairness()
        yield from poolings.section()


def _other_ways() -> str:
    """How training is said to differ from that of most rows, if some do."""
    steps = sorted({int(row["steps"]) for row in rows("supervised") if row["training"] == EQUAL_TIME})
    ways = {row["training"] for row in rows("supervised")}
    words = [f"one of images turned by random quarters in every step (`{OF_TURNED}`)"] if OF_TURNED in ways else []
    if steps:
        words.append(f"some for as long as the plain network learns (`{EQUAL_TIME}`, {_ends(steps)} steps)")
    return f" ({' and '.join(words)})" if words else ""


def _ends(numbers: list[int]) -> str:
    return " .. ".join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))


def _or(value: Estimate | None) -> str:
    return "-" if value is None else value.as_percent()


def _exponent(row: dict[str, str]) -> str:
    return "{:.2f} ({:.2f} .. {:.2f})".format(*(float(row[f"exponent{end}"]) for end in ("", "_low", "_high")))


def write_sections() -> None:
    """Draws the picture, and writes both sections."""
    draw(measured(), RESULTS / PICTURE)
    write_section(README, SECTION, f"\n{readme_section()}\n")
    write_section(DOCUMENT, SECTION, f"\n{document_section()}\n")
