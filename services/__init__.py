"""Processes and commands that people and their programs talk to."""
