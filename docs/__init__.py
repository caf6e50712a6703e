"""Documentation, and the script that writes the README's tables from the records."""
