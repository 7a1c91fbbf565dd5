"""How much is measured: three suites, by name."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["SUITES", "Suite"]


@dataclass(frozen=True)
class Suite:
    """How much is measured of how many networks.

    Attributes:
        models: names and patterns, see `chosen_models`.
        seeds: of the choice of images, of the few labels, and of networks with random weights.
        train_limit: training images of the probes, equally many of every class; None for all.
        test_limit: test images; None for all.
        labels: few labels, how many of a class.
        batches: whose throughput is measured.
        rounds: of the interleaved timing.
        data: by the channels of a network, the images that it is measured on if no others are named.
        hows: ways of `HOWS` in which throughput is measured too, where what they need is installed.
        forms: of `FORMS` in which errors are measured too, where what they need is installed.
        angles: degrees between the angles of the curve over all of them; 0 for no curve.
        growth: numbers of training images of probes, by which the exponent of their error is fitted.
        fractions: of the training images, for supervised training from scratch and fine-tuning.
        trained: names and patterns of the networks that are trained so.
        steps: of that training, of 64 images each.
        turned: names of those that are also trained on images that are turned by random quarters.
        equal_time: names of those that are also trained for as long as another one needs for its steps, and which.
        rotated: numbers of training images, test images and steps in the protocol of rotated MNIST; None to leave it
            out.
        widths: of the families whose time is measured over the width.
        sizes: pixels of a side, whose time is measured over the size.
        trained_widths: of the families that are trained from scratch at each, on the images of one channel.
        trained_sizes: pixels of a side, to which the images of three channels are brought for such training.
        beside: names of networks that are compared as they are: quality, symmetry, cost, training if it is asked for,
            and throughput, each in cells of its own beside the plain network. Those that need a package that is not
            installed are left out.
    """

    models: tuple[str, ...]
    seeds: tuple[int, ...]
    train_limit: int | None
    test_limit: int | None
    labels: tuple[int, ...]
    batches: tuple[int, ...]
    rounds: int
    data: dict[int, str]
    hows: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()
    angles: int = 0
    growth: tuple[int, ...] = ()
    fractions: tuple[float, ...] = ()
    trained: tuple[str, ...] = ()
    steps: int = 200
    turned: tuple[str, ...] = ()
    equal_time: dict[str, str] = field(default_factory=dict)
    rotated: tuple[int, int, int] | None = None
    widths: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    trained_widths: tuple[int, ...] = ()
    trained_sizes: tuple[int, ...] = ()
    beside: tuple[str, ...] = ()


EMBEDDED = {1: "fashion_mnist_mini", 3: "openclipart_mini"}
"""What the package has."""

GREY = ("resnet18s_w16.rot_fmnist_simclr", "c4_resnet18s_w16.rot_fmnist_simclr", "d4_resnet18s_w16.rot_fmnist_simclr")
COLOUR = ("resnet18_w32.distil_lite0", "c4_resnet18_w32.distil_lite0", "d4_resnet18_w32.distil_lite0")
UNTRAINED = ("resnet18s_w16", "resnet18s_w8", "c1_resnet18s_w16", "c4_resnet18s_w16", "d4_resnet18s_w16")
"""As they are initialised: of equal FLOPs, of equal parameters, without the group, and the networks themselves."""
WRONG = "d2_resnet18s_w16"
"""As many elements as C4, and not those of images that have no way up: half turns and flips."""
PLAIN = "resnet18s_w16"
"""That of equal multiply-adds, which also learns of turned images, and whose training time others are given."""
AVERAGED = f"symmetrised:c4:{PLAIN}"
"""The plain network, which learns as the mean over the turns of every image: four passes instead of a group."""
EQUAL_TIME = {"c4_resnet18s_w16": PLAIN, "d4_resnet18s_w16": PLAIN, AVERAGED: PLAIN}
BESIDE = (
    WRONG,
    "random:torchvision:resnet18",
    "random:timm:resnet18",
    "escnn:c4_resnet18s_w16",
    AVERAGED,
    f"symmetrised:c4:{GREY[0]}",
    f"canonicalised:{GREY[1]}:{GREY[0]}",
    f"symmetrised:c4:{COLOUR[0]}",
)
"""Of another group, of others, of escnn's own modules, and plain networks that were adapted."""

FORMS = ("as it is", "after training", "exported", "onnxruntime", "int8")
LABELS, FRACTIONS = (1, 5, 20), (0.01, 0.1, 1.0)
WIDTHS, SIZES = (8, 16, 32, 64), (28, 56, 112, 224)

SUITES = {
    "quick": Suite((*GREY, *COLOUR), (0,), 1000, 500, LABELS, (1, 64), 5, EMBEDDED, hows=("exported",)),
    "standard": Suite(
        ("*.*", *UNTRAINED),
        (0, 1, 2),
        None,
        None,
        LABELS,
        (1, 64, 256),
        15,
        EMBEDDED,
        hows=("exported", "onnxruntime", "bfloat16", "int8", "compiled", "training"),
        forms=FORMS,
        angles=15,
        growth=(250, 500, 1000, 2000, 4000),
        fractions=FRACTIONS,
        trained=(*GREY, *UNTRAINED, WRONG, AVERAGED),
        turned=(PLAIN,),
        equal_time=EQUAL_TIME,
        widths=WIDTHS,
        sizes=SIZES,
        trained_widths=WIDTHS,
        trained_sizes=(16, 32, 64),
        beside=BESIDE,
    ),
    "full": Suite(
        ("*.*", *UNTRAINED, "c8_resnet18s_w16", "d8_resnet18s_w16"),
        (0, 1, 2, 3, 4),
        None,
        None,
        LABELS,
        (1, 64, 256),
        31,
        {1: "fashion_mnist", 3: "openclipart"},
        hows=("exported", "onnxruntime", "bfloat16", "int8", "compiled", "training"),
        forms=FORMS,
        angles=15,
        growth=(250, 500, 1000, 2000, 4000, 8000, 16000, 32000, 60000),
        fractions=FRACTIONS,
        trained=(*GREY, *UNTRAINED, WRONG, AVERAGED),
        turned=(PLAIN,),
        equal_time=EQUAL_TIME,
        steps=3000,
        rotated=(12_000, 50_000, 1500),
        widths=WIDTHS,
        sizes=SIZES,
        trained_widths=WIDTHS,
        trained_sizes=SIZES,
        beside=BESIDE,
    ),
}
"""By name: ``quick`` ends in three minutes on two cores on what is embedded; ``standard`` has all networks of the zoo,
their twins as they are initialised, networks of others beside them, three seeds and all embedded images; ``full`` whole
data sets, and five seeds."""
