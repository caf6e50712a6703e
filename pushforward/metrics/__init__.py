"""Measurements: every one returns a record that says what was measured, on what, how, and how far it may be off."""
