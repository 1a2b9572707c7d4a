"""Photos from S3: the client, one fetch, and what S3's errors mean."""
