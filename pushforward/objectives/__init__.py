"""Training objectives: pure functions, and the values that name them."""
