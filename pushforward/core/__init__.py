"""The contract shared by all layers: models, phases, spaces, records and events.

Every other package imports from here; `core` imports none of them.
"""
