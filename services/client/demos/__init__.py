"""What `atelier demo` runs: one demo for each worker."""

from services.client.demos import detect, faces, segment, text

DEMOS = (detect.DEMO, faces.DEMO, segment.DEMO, text.DEMO)
