"""A worker for tests and measurements: it does what its request says, also badly."""
