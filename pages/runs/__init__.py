"""The list of all runs, and files that become runs."""
