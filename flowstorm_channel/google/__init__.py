"""Google Assistant: webhooks of the Actions SDK (v2) and Actions Builder (v3), server side (external.md)."""
