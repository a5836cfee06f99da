"""The Networks page: what a network is made of, networks put together from rows, single layers and losses at work; each view has a file."""
