"""From a network's output to masks, mattes and cutouts as PNG."""
