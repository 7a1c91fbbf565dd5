"""Bytes of the saved state against the number of parameters.

python -m benchmarks.speed.state_size
"""

from __future__ import annotations

from safetensors.torch import save

from benchmarks.speed._harness import Row, Timings
from eqmodels import create_model, list_models


def main() -> None:
    """Measures every registered name and writes the table."""
    rows = []
    for name in list_models(takes="images"):
        model = create_model(name)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        mebibytes = len(save({key: value.contiguous() for key, value in model.state_dict().items()})) / 2**20
        rows.append(
            Row(
                f"{parameters / 1e6:.2f} M parameters",
                name,
                mebibytes,
                mebibytes,
                mebibytes,
                mebibytes * 2**20 / (4 * parameters),
            )
        )
    table = Timings.of(
        "Size of the saved state (safetensors)",
        unit="MiB",
        reference="4 bytes a parameter",
        module="benchmarks.speed.state_size",
        rounds=1,
        rows=rows,
    )
    table.save("state_size")


if __name__ == "__main__":
    main()
