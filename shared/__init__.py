"""Used by the services and by the workers; loads neither torch nor Flask."""
