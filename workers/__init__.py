"""The workers, one folder per queue."""

from pkgutil import extend_path

# A folder workers/<name> anywhere on the Python path is a worker too.
__path__ = extend_path(__path__, __name__)
