"""Twilio Media Streams: phone calls, the server side (external.md, 3)."""
