"""The HTTP gateway: checks requests, records jobs, streams events."""
