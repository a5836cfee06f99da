"""The Results page, a file a view."""
