"""Checks a photo's format and size, and decodes it to an upright RGB picture."""
