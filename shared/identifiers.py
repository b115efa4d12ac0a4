"""Ids that sort by the time they were made."""

import secrets
import time


def new_id() -> str:
    """32 hex digits shaped like a UUIDv7 (RFC 9562, section 5.7): milliseconds, then random."""
    milliseconds = time.time_ns() // 1_000_000
    random = secrets.randbits(74)
    high, low = random >> 62, random & (2**62 - 1)
    return f"{milliseconds << 16 | 0x7 << 12 | high:016x}{0b10 << 62 | low:016x}"
