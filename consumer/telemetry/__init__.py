"""What the consumer shows of itself: the log, metrics, and the probes' HTTP server."""
