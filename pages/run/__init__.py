"""One run's details."""
