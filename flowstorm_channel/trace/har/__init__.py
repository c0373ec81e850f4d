"""Recordings as HAR 1.2 (HTTP Archive), which the developer tools of browsers and mitmproxy read and write.

A HAR shows the wires only. What it has no place for, the pieces of bodies and their times, stands in members
called ``_flowstorm``: names that begin with an underscore are for everybody's own use.
"""

from flowstorm_channel.trace.har.reading import of_har
from flowstorm_channel.trace.har.writing import to_har

__all__ = ["of_har", "to_har"]
