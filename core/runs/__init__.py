"""What lies in a run's folder, and the one reading of it. Nothing here computes with a network."""
