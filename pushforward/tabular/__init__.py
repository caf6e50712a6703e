"""What a model of a table can do for its owner: synthetic rows, gaps filled, odd rows, groups.

Functions over models and rows in the model's space, as tensors or arrays in the user's units; files
and sentences are made of them in `experiments`.
"""
