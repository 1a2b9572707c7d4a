"""A model: its manifest, its input and output, and the session that runs it."""
