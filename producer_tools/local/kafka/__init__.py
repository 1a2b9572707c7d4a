"""A local Apache Kafka: its broker and the download of its jars."""
