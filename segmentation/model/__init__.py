"""A model: its manifest, how its input is made, and the ONNX Runtime session that runs it."""
