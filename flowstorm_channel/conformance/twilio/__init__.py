"""Twilio Media Streams: what a server of phone calls is checked for."""
