"""The wire contract: every message that goes over Kafka or the callback."""
