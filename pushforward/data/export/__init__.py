"""Samples in the original form of the data: files, folders and grids."""
