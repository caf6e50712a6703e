"""Documentation, and the scripts that write its tables and draw its figure."""
