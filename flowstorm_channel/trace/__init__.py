"""What happened on a channel, kept: recordings, and files of them."""

from flowstorm_channel.trace.entries import (
    Act,
    Cut,
    Entry,
    Head,
    Idle,
    Lost,
    Opened,
    Record,
    Recording,
    Setting,
    Told,
)
from flowstorm_channel.trace.har import of_har, to_har
from flowstorm_channel.trace.lines import dump, load
from flowstorm_channel.trace.packed import pack, read, unpack
from flowstorm_channel.trace.recorder import Recorder, Watcher
from flowstorm_channel.trace.replay import Difference, Replay, replay

__all__ = [
    "Act",
    "Cut",
    "Difference",
    "Entry",
    "Head",
    "Idle",
    "Lost",
    "Opened",
    "Record",
    "Recorder",
    "Recording",
    "Replay",
    "Setting",
    "Told",
    "Watcher",
    "dump",
    "load",
    "of_har",
    "pack",
    "read",
    "replay",
    "to_har",
    "unpack",
]
