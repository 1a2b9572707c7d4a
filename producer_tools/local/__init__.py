"""Real Apache Kafka, an S3 server and the mask-asset service on this machine."""
