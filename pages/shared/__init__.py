"""What several pages use, a file an idea."""
