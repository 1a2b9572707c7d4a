"""What people use around the service: the command line and the local stack."""
