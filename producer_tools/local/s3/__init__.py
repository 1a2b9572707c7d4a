"""A local S3 server: moto's, in a process of its own."""
