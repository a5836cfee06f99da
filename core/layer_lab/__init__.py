"""Layers and losses at work on one input: the chain of rows, the weights they do it with, and every number worked out."""
