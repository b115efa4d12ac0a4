"""Moves committed jobs to the broker, takes back lost ones, and clears away what has expired."""
