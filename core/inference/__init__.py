"""What needs a forward pass of a trained network: predictions, evaluations, a look inside, maps."""
