"""The colours of every picture that compares networks or features."""

from __future__ import annotations

__all__ = ["OKABE_ITO"]

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours that colour-blind readers can tell apart (Okabe and Ito, Color Universal Design, 2008)."""
