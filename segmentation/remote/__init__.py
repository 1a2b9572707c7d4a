"""A model on a server that implements the Open Inference Protocol v2."""
