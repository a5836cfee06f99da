"""The networks: which there are, how they are built, and what a set of weights needs to become one again."""
