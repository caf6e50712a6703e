"""Studies: training for minutes over several seeds on real data, into `results/studies/`."""
