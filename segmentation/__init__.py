"""Photo in, masks out: manifests, models, decoding, masks. Knows nothing of Kafka, S3 or HTTP."""
