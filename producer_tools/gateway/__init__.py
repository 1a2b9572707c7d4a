"""The gateway: HTTP in front of a line's topics, for callers that don't speak Kafka."""
