"""Tools for people who use the service: the command line, a client, and the local stack."""
