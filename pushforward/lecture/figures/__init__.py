"""One file per figure: the docstring is its text, `figure` its code."""
