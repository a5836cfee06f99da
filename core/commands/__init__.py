"""The command line: arguments in, one JSON document or readable text out. All work is done elsewhere in core."""
