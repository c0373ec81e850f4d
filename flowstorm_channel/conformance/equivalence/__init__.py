"""The same conversation over every channel: what the user gets has to be the same."""
