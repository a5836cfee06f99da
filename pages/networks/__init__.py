"""The Networks page: layers and losses to look into and try out; each view has a file."""
