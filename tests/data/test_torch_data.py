"""Data sets of PyTorch as sources: each item read when it is asked for, and what it shows is what a file would."""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, Subset, TensorDataset
from torchvision import datasets

from eqmodels.data import check_source, from_torch, is_labelled, load_data
from eqmodels.transforms import Preprocessing
from tests.data.test_folder import flat_folder


@dataclass
class Items(Dataset):
    """Items of any kind, and which of them were read."""

    items: list
    read: list = field(default_factory=list)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        self.read.append(number)
        return self.items[number]


def levels(*shape, seed=0):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_torchvisions_folder_is_what_the_folder_is(tmp_path):
    flat_folder(tmp_path / "train", {"ant": 3, "bee": 2})
    flat_folder(tmp_path / "test", {"ant": 1})
    folder = load_data("image_folder", root=tmp_path, size=5)
    data = from_torch(datasets.ImageFolder(tmp_path / "train"), size=5)
    assert (data.name, data.classes, data.size, data.channels) == ("ImageFolder", ("ant", "bee"), (5, 5), 3)
    assert torch.equal(data.labels, folder.labels)
    assert torch.equal(data.pixels(slice(None)), folder.images)
    part = from_torch(Subset(datasets.ImageFolder(tmp_path / "train"), [4, 0]), size=5)
    assert (part.labels.tolist(), part.classes) == ([1, 0], ("ant", "bee"))
    assert torch.equal(part.pixels(slice(None)), folder.images[[4, 0]])


def test_images_are_read_when_they_are_asked_for():
    items = Items([(levels(3, 4, 5, seed=number), number % 2) for number in range(6)])
    data = from_torch(items)
    items.read.clear()
    assert torch.equal(data.pixels(torch.tensor([4, 1])), torch.stack([items.items[n][0] for n in (4, 1)]) / 255)
    assert items.read == [4, 1]
    assert data.pixels(torch.tensor([], dtype=torch.int64)).shape == (0, 3, 4, 5)


def test_labels_that_are_listed_cost_no_reading():
    items = Items([(levels(1, 4, 5), number % 3) for number in range(6)])
    items.targets = [number % 3 for number in range(6)]
    data = from_torch(items)
    assert data.labels.tolist() == [0, 1, 2] * 2
    assert set(items.read) == {0}
    items.targets = [2 - number % 3 for number in range(6)]  # which are of something else
    assert from_torch(items).labels.tolist() == [0, 1, 2] * 2


COLOUR = levels(4, 5, 3).numpy()
DEEP = (levels(2, 4, 5).to(torch.int64) * 257).numpy().astype(np.uint16)


@pytest.mark.parametrize(
    ("item", "options", "expected"),
    [
        (Image.fromarray(COLOUR), {}, torch.from_numpy(COLOUR).movedim(-1, 0) / 255),
        (Image.fromarray(COLOUR[..., 0]), {}, torch.from_numpy(COLOUR[None, ..., 0]) / 255),
        (COLOUR, {"channels": 3}, torch.from_numpy(COLOUR).movedim(-1, 0) / 255),
        (COLOUR[..., 0], {}, torch.from_numpy(COLOUR[None, ..., 0]) / 255),
        (COLOUR[..., 0], {"channels": 3}, torch.from_numpy(COLOUR[None, ..., 0]).repeat(3, 1, 1) / 255),
        (torch.from_numpy(COLOUR[..., 0]), {}, torch.from_numpy(COLOUR[None, ..., 0]) / 255),
        (DEEP, {"channels": 2}, torch.from_numpy(DEEP.astype(np.float32)) / 65535),
        (torch.from_numpy(DEEP), {}, torch.from_numpy(DEEP.astype(np.float32)) / 65535),
        (torch.rand(13, 4, 5, dtype=torch.float64), {}, None),
        (torch.full((13, 4, 5), 2500.0), {"scale": 10000.0}, torch.full((13, 4, 5), 0.25)),
        (np.full((4, 5), 2500, dtype=np.int32), {"scale": 10000.0}, torch.full((1, 4, 5), 0.25)),
        (Image.new("RGBA", (5, 4)), {"background": "black"}, torch.zeros(3, 4, 5)),
    ],
)
@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: (one, 0), lambda one: {"image": one, "label": 0}])
def test_an_item_is_an_image_of_any_kind_with_or_without_a_label(item, options, expected, wrap):
    data = from_torch(Items([wrap(item)]), **options)
    assert check_source(data) is data
    expected = item.float() if expected is None else expected
    torch.testing.assert_close(data.pixels(slice(None))[0], expected, rtol=0, atol=1e-7)
    assert data.channels == len(expected)
    assert data.classes == (() if wrap(item) is item else ("0",))


def test_a_network_sees_the_same():
    items = Items([Image.fromarray(levels(9, 14, 4, seed=number).numpy()) for number in range(2)])
    data = from_torch(items, size=(6, 8), background="black")
    transform = Preprocessing((0.0,) * 3, (1.0,) * 3, (6, 8), background="black").transform()
    assert torch.equal(data.pixels(slice(None)), torch.stack([transform(item) for item in items.items]))


def test_labels_may_be_words_or_any_numbers():
    words = from_torch(Items([{"image": levels(1, 4, 4), "label": word} for word in ("sea", "land", "sea")]))
    assert (words.labels.tolist(), words.classes) == ([1, 0, 1], ("land", "sea"))
    numbers = from_torch(TensorDataset(levels(3, 1, 4, 4), torch.tensor([10, 2, 10])))
    assert (numbers.labels.tolist(), numbers.classes) == ([1, 0, 1], ("2", "10"))
    arrays = from_torch(Items([(levels(1, 4, 4), np.array([1]))]), classes=["no", "yes"])
    assert (arrays.labels.tolist(), arrays.classes) == ([1], ("no", "yes"))
    marked = from_torch(Items([(levels(1, 4, 4), -1)] * 2), classes=["no", "yes"])
    assert (marked.labels.tolist(), is_labelled(marked)) == ([-1, -1], False)
    masks = from_torch(Items([(levels(1, 4, 4), levels(4, 4))]), label=None)
    assert not is_labelled(masks)


def test_it_is_sent_to_other_processes():
    data = from_torch(Items([(levels(1, 4, 4), 3)]))
    assert torch.equal(pickle.loads(pickle.dumps(data)).pixels(slice(None)), data.pixels(slice(None)))


@pytest.mark.parametrize(
    ("items", "options", "error", "message"),
    [
        ([], {}, ValueError, "Items must have images; got none. Pass a data set that has some."),
        (["a.png"], {}, TypeError, "an item must hold an image of PIL, a tensor or an array; got 'a.png'."),
        ([{"img": 1}], {}, TypeError, "items have the keys img; got no 'image'. Pass image=."),
        (
            [torch.zeros(2, 1, 4, 4)],
            {},
            ValueError,
            "an image must be (C, H, W) or (H, W); got the shape (2, 1, 4, 4).",
        ),
        ([(levels(1, 4, 4), levels(4, 4))], {}, TypeError, "a label must be an integer or a word; got a Tensor"),
        (
            [(levels(1, 4, 4), 5)],
            {"classes": ["a"]},
            ValueError,
            "labels of Items must be of its 1 classes (a, ...), by",
        ),
        ([levels(1, 4, 4)], {"scale": 0.0}, ValueError, "scale must be positive; got 0.0. Pass what white is"),
        ([levels(1, 4, 4)], {"background": "no"}, ValueError, "background must be a colour that hides what is below"),
        ([levels(1, 4, 4)], {"channels": 65}, ValueError, "channels must be at most 64; got 65. Choose some of them."),
    ],
)
def test_what_is_no_data_set_of_images_is_refused(items, options, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        from_torch(Items(items), **options)


def test_an_image_unlike_the_first_is_named():
    data = from_torch(Items([levels(3, 4, 4), levels(3, 4, 5), levels(2, 4, 4), torch.full((3, 4, 4), 7.0)]))
    for number, message in enumerate(
        ["must have the size of the first, .4, 4.; image 1 has .4, 5.", "2.*channels", "3.*0, 1"]
    ):
        with pytest.raises(ValueError, match=message):
            data.pixels(torch.tensor([number + 1]))
    with pytest.raises(TypeError, match=r"^dataset must have __len__ and __getitem__.* got 5\. Read what comes"):
        from_torch(5)
