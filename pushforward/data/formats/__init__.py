"""Kinds of files, each with a reader of its own, and the registry that finds them."""
