"""What is minimised: pure functions and the values that name them."""
