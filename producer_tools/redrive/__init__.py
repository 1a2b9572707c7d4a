"""Dead letters: read, shown, and put back onto the jobs topic."""
