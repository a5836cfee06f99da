"""The loop and what it is made of: batches, optimizers, device, evaluation, and the events it yields. Writes no file."""
