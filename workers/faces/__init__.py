"""Finds, encodes, verifies and identifies faces; identifies them in large collections."""
