"""The flowchart: its tables, the judges of its questions, and the walk."""
