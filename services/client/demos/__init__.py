"""What `atelier demo` runs: one demo for each worker."""

from services.client.demos import detect, faces, segment, style, text

DEMOS = (detect.DEMO, faces.DEMO, segment.DEMO, style.DEMO, text.DEMO)
