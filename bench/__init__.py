"""Measurements beside named peers; `python -m bench NAME` runs one."""
