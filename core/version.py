"""The one place that names this tool's version."""

__version__ = "0.1.0"
