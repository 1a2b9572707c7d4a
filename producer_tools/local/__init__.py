"""The local stack: Apache Kafka, an S3 server and the mask-asset service on this machine.

`stack.py` starts all three; `kafka`, `s3` and `mask_asset` have one each. `demo` runs photos
through the stack and a consumer.
"""
