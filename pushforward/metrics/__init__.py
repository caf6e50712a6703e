"""Metrics: each returns a record of the quantity, the data, the method and the error."""
