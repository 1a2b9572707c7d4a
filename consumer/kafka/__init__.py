"""What aiokafka needs from us: connections, clients that stop in time, bounded readers, topics."""
