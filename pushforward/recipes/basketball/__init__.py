"""Experiments with public tables of basketball, and the court they are drawn on."""
