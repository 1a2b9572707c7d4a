"""`maskline doctor`: what is wrong with a line's surroundings, seen from where it runs."""
