"""What aiokafka needs from us: connections, clients that start and stop in time, topics."""
