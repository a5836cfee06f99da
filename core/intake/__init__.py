"""Checkpoints and runs from outside: read as data, in quarantine, and never executed."""
