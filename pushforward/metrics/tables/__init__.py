"""Measures of a synthetic table beside the real one: likeness, usefulness and privacy."""
