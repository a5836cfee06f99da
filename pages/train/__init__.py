"""The Train page: set a training up, start it, watch it."""
