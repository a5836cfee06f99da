"""The Networks page: what a network is made of, and networks put together from rows of layers."""
