"""The service: takes jobs off Kafka in order, and settles each exactly once."""
