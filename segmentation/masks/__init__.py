"""Makes masks, mattes and cutouts from a network's output, and encodes them as PNG."""
