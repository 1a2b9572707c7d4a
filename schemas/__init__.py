"""The message contract: every message that is sent over Kafka or to the callback."""
