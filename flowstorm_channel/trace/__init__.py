"""What went over the wire, kept: records, and files of them."""

from flowstorm_channel.trace.records import Head, Record, dump, load

__all__ = ["Head", "Record", "dump", "load"]
