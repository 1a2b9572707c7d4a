"""Uses a line from outside: `client` submits, waits, follows and cancels."""
