"""The installed models: finds, loads, checks and describes them."""
