"""The lecture's figures: each one short function, its formula and text beside it."""
