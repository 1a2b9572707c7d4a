"""Turns a photo into masks.

The steps are in `segment.py`; each has a folder: `photo` decodes and checks the file, `model` and
`remote` run the network (here, or on a model server over HTTP), `masks` makes PNG files of its
output. `catalog` finds and loads the models. To add a model, write a manifest (see `manifests/` and
docs/models.md). This package uses neither Kafka nor S3.
"""

import os

# From its first import on, ONNX Runtime would tell its makers of its use, and write below $HOME.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
