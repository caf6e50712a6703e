"""Models trained by gradients, one paper per file."""
