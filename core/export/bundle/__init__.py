"""A network to take away: weights, plain PyTorch, preprocessing and a program that answers as the app does, and the proof that it does."""
