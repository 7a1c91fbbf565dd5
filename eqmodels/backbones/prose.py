"""What a network's outputs mean, in one paragraph made of their fields."""

from __future__ import annotations

from eqmodels.fields import Field, Regular, Scalars, Sum
from eqmodels.groups import PlanarGroup
from eqmodels.layers import GlobalPool

__all__ = ["output_prose"]


def output_prose(map_field: Field, features: Field, scores: Field | None, num_classes: int, pool: GlobalPool) -> str:
    """How maps, features and scores change when the image is turned.

    Args:
        map_field: of the last feature map.
        features: the field of the pooled features.
        scores: the field of the class scores; None if they are a learned function of the pose.
        num_classes: number of scores; 0 for none.
        pool: how features are pooled.
    """
    group = map_field.group
    if not isinstance(group, PlanarGroup) or group.order == 1:
        return (
            f"forward_features: {map_field.channels} ordinary channels. The network has no group: nothing is known of "
            "how its maps, features and scores change when the image turns."
        )
    exact = len(group.exact_elements)
    accuracy = (
        "exactly."
        if exact == group.order
        else f"exactly for the {exact} of its {group.order} elements that permute the pixels, else approximately."
    )
    maps = (
        f"forward_features: {_map_words(map_field)}; for every g in {group} the map of the moved image is the moved "
        f"map with its fibre permuted, {accuracy}"
    )
    how = f"{pool.fibre.mode} over the fibre"
    if pool.reads_pose:
        how = "the fibre turned back by the predicted pose" if pool.is_canonical else "weighted mean over the fibre"
    parts = features.parts if isinstance(features, Sum) else (features,)
    vector = ", then ".join(_feature_words(part, how) for part in parts)
    nature = "a learned function of the pose as well." if scores is None else "invariant too."
    words = f" fc: {num_classes} scores, {nature}" if num_classes else ""
    return f"{maps} global_pool: {vector}.{words}"


def _map_words(field: Field) -> str:
    if isinstance(field, Regular) and field.elements is None:
        return (
            f"{field.count} regular fields of {field.group} in {field.channels} group-major channels "
            f"(channel h * {field.count} + c)"
        )
    return f"{field.channels} channels of the field {field}"


def _feature_words(field: Field, how: str) -> str:
    if isinstance(field, Scalars):
        return f"{field.count} features that do not change when the image moves ({how})"
    return f"{field.channels} features that permute as the fibre does"
