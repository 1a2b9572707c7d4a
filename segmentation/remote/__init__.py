"""A model that runs on a server of the Open Inference Protocol v2."""
