"""The conformance of Socket V1: checks of servers and of clients, the linter, and broken implementations."""
