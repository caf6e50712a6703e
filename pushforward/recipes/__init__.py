"""Experiments that run from one command and leave numbers and pictures behind: one file each."""
