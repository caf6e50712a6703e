"""The command line: one command per file. Nothing here imports torch,
pandas or scikit-learn until a command runs.
"""
