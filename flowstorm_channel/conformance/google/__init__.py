"""The checks of Google Assistant webhooks: the kit is Google Assistant."""
