"""Experiments that run from one command and leave numbers and images behind: one file each."""
