"""The embedded default: every program of Atelier on one machine, without Docker or root."""
