"""The same events and applications, written with other libraries, or by hand."""
