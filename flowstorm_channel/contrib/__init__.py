"""Drivers: the only part of the package that does I/O. Each is thin, and imported only when asked for."""
