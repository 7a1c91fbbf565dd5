"""Names in files of before are those of today's networks of the same layers."""

import pytest

from eqmodels.backbones.legacy import modern_name


@pytest.mark.parametrize(
    ("before", "today"),
    [
        ("resnet18", "resnet18s"),
        ("resnet34_w8", "resnet34s_w8"),
        ("c4_resnet18_w16", "c4_resnet18s_w16"),
        ("d12_resnet50", "d12_resnet50s"),
        ("c8_wide_resnet16_8_w64", "c8_wide_resnet16_8_w64"),
        ("c4_resnet18s_w16", "c4_resnet18s_w16"),
        ("my_resnet18_w16", "my_resnet18_w16"),
        ("resnet18_w16.rot", "resnet18_w16.rot"),
    ],
)
def test_only_the_small_stems_of_before_are_renamed(before, today):
    assert modern_name(before) == today
    assert modern_name(today) == today
