"""Parts from which models are composed."""
