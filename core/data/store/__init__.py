"""Images as memory-mapped arrays, built once and opened in a moment; what they look like, and which are there twice."""
