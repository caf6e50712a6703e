"""Samples back in the form that the data came in: files, folders and grids."""
