"""Every chaos test runs on both databases, and full size when ATELIER_FULL is set."""

import os

FULL = bool(os.environ.get("ATELIER_FULL"))
