"""From a file's bytes to an upright RGB picture."""
