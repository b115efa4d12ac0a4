"""The style worker: a photograph painted anew, in the manner of another picture."""
