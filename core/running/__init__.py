"""What makes a run go: a configuration completed and prepared, the session that follows its events, and how it ends."""
