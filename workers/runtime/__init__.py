"""What turns a worker class into a running worker; the only code that knows Celery."""
