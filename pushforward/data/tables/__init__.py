"""Tables: how they are written, what their columns hold, and how rows become numbers."""
