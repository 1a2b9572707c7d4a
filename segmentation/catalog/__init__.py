"""The installed models, and what there is to know about a model file."""
