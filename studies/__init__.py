"""What is learnt, measured: studies that train for minutes,
over several seeds, on real data, into `results/studies/`.
"""
