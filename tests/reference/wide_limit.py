"""The variance of the activations of a random equivariant ReLU network of infinitely many fields, without sampling.

With independent weights of mean zero the features of infinitely many fields are Gaussian, and a layer maps the
covariance ``C[g, h](d)`` of group channels g and h at pixels a distance d apart (on a torus) to the next one: the ReLU
by the arc-cosine kernel, the convolution by ``E[K K^T]``.

Source: Cho and Saul 2009, *Kernel methods for deep learning*; Novak et al. 2019, arXiv 1810.05148.
"""

from __future__ import annotations

import math

import torch


def variances(basis: torch.Tensor, products: torch.Tensor, *, depth: int, image: torch.Tensor) -> list[float]:
    """The variance before every ReLU of a lifting and ``depth - 1`` regular layers, He's gain 2 / (in k^2) everywhere.

    Args:
        basis: ``b_j(g^-1 x)``, (|G|, J, k, k).
        products: the table of ``g r``, (|G|, |G|).
        depth: number of convolutions.
        image: the covariance function of the input, (n, n) on the torus.
    """
    order, _, k, _ = basis.shape
    size = len(image)
    spectrum = torch.fft.fft2(torch.nn.functional.pad(basis, (0, size - k, 0, size - k)))
    response = torch.einsum("gjyx,hjyx->ghyx", spectrum.conj(), spectrum) * 2 / k**2
    covariance = torch.fft.ifft2(response * torch.fft.fft2(image)).real
    found = [_variance(covariance)]
    for _ in range(depth - 1):
        after = _relu(covariance)
        # The weight of r = g^-1 h joins the channels g r and h r: independent weights, averaged over r.
        mixed = sum(after[products[:, r]][:, products[:, r]] for r in range(order)) / order
        covariance = torch.fft.ifft2(response * torch.fft.fft2(mixed)).real
        found.append(_variance(covariance))
    return found


def _variance(covariance: torch.Tensor) -> float:
    return float(covariance[:, :, 0, 0].diagonal().mean())


def _relu(covariance: torch.Tensor) -> torch.Tensor:
    deviation = covariance[:, :, 0, 0].diagonal().sqrt()
    scale = (deviation[:, None] * deviation)[:, :, None, None]
    cosine = (covariance / scale).clamp(-1, 1)
    angle = cosine.acos()
    return scale / (2 * math.pi) * (angle.sin() + (math.pi - angle) * cosine)
