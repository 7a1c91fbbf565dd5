"""Encoders of points on KiCad's parts: trained for equally long, and probed upright and turned."""
