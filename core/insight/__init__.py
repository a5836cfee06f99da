"""What is drawn from records, without a forward pass."""
