"""Bounded HTTP: httpx transports that limit each response and keep responses apart."""
