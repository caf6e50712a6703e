"""Tables: their text formats, the contents of their columns, and conversion of rows to numbers."""
