"""Answers a container's health check: exits 0 while the process in it works.

Given a URL, the gateway answers it with 200. Given a folder and a number of seconds, the relay
or worker touched its *.alive file in that folder so recently.
"""

import sys
import time
import urllib.error
import urllib.request
from pathlib import Path


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, TimeoutError):
        return False


def beats(folder: Path, seconds: float) -> bool:
    touched = [file.stat().st_mtime for file in folder.glob("*.alive")]
    return bool(touched) and time.time() - max(touched) < seconds


def main(target: str, seconds: str = "60") -> int:
    healthy = answers(target) if "://" in target else beats(Path(target), float(seconds))
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
