"""Google Assistant: webhooks of the Actions SDK (v2) and Actions Builder (v3), server side (external.md).

Google has switched conversational actions off in 2023; this is for tests, and for what was built then.
"""

from flowstorm_channel.google.requests import GoogleRequest
from flowstorm_channel.google.server import GoogleAssistantOptions, GoogleAssistantServer
from flowstorm_channel.google.signature import GoogleKeys

__all__ = ["GoogleAssistantOptions", "GoogleAssistantServer", "GoogleKeys", "GoogleRequest"]
