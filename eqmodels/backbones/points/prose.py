"""What the outputs of an encoder of points mean, in one paragraph made of their fields."""

from __future__ import annotations

from eqmodels.fields import Field, Irreps
from eqmodels.groups import Group, SpaceGroup

__all__ = ["output_prose"]


def output_prose(group: Group, map_field: Field, features: Field, scores: Field | None, num_classes: int) -> str:
    """How features of points, of clouds, and scores change when a cloud is turned, moved or put into another order.

    Args:
        group: that turns clouds.
        map_field: of the features of points.
        features: the field of the pooled features.
        scores: the field of the class scores; None if they are a learned function of the pose.
        num_classes: number of scores; 0 for none.
    """
    still = "Where a cloud lies and the order of its points change nothing but the order of the features."
    if not isinstance(group, SpaceGroup):
        return (
            f"forward_features: {map_field.channels} ordinary features of every point. The network has no group: "
            f"nothing is known of how features and scores change when a cloud turns. {still}"
        )
    maps = (
        f"forward_features: {map_field.channels} features of every point, irreps {map_field} of {group}: for every g "
        f"in {group} those of the turned cloud are the turned features, exactly. {still}"
    )
    vector = (
        f"{features.channels} features that turn with the cloud, irreps {features}"
        if isinstance(features, Irreps)
        else f"{features.channels} features that do not change when the cloud turns"
    )
    nature = "a learned function of the pose as well." if scores is None else "invariant too."
    words = f" fc: {num_classes} scores, {nature}" if num_classes else ""
    return f"{maps} global_pool: {vector}.{words}"
