"""Side-by-side timings: `make bench`.

Every comparison runs both sides in turn, in one run, and checks the answer.
"""
