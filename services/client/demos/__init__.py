"""What `atelier demo` runs: one demo for each worker."""

from services.client.demos import detect, faces, text

DEMOS = (detect.DEMO, faces.DEMO, text.DEMO)
