"""The line's topics from outside: jobs in, status events out."""
