"""Models with a closed form or an EM algorithm."""
