"""A job's life: the rules, and the SQL that carries them out."""
