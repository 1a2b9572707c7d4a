"""Trains and judges the default body model; nothing at run time imports it."""

import segmentation  # noqa: F401  # before ONNX Runtime, whose telemetry it turns off
