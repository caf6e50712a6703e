"""Models that learn by gradients: one paper per file."""
