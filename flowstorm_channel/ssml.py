"""Speech as SSML: escaping, taking apart, joining and cutting (external.md)."""
