"""The contract: models, phases, spaces, records, events.
Everything above imports from here; this room imports nothing.
"""
