"""The version of digitnet."""

__version__ = "0.1.0"
