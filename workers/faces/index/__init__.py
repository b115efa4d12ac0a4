"""Nearest faces of a collection: a follower of the SQL tables, fast but never the truth."""
