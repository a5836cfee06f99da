"""Whatever takes long: its queue, its process, its progress and its end. Knows no training."""
