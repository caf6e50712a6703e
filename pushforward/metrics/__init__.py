"""Measurements: each returns a record of what was measured, on what, how, and with which error."""
