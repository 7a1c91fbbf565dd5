"""Encoders with a teacher's knowledge of photographs: the pictures that teach, the runs, and what was measured."""
