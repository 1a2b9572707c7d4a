"""The demo: runs photos through the local stack and a consumer, and shows their masks."""
