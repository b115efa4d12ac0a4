"""What `atelier demo` runs: one demo for each worker."""

from services.client.demos import detect, faces

DEMOS = (detect.DEMO, faces.DEMO)
