"""Flowstorm channels as a sans-IO protocol library: bytes in, events out; events in, bytes out."""

__version__ = "0.1.0"
