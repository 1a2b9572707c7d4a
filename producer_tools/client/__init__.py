"""Uses a line from outside: `jobs` submits photos, `status_events` follows what becomes of them."""
