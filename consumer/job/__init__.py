"""One job: from a record to its outcome."""
