"""File formats, each with its reader, and the registry that finds them."""
