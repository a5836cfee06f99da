"""What leaves the application: weights, checkpoints and runs as files."""
