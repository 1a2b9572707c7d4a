"""Trains and judges the default body model; nothing at run time imports it."""
