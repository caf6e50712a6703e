"""Sources over data in memory: arrays, Datasets, loaders and iterables."""
