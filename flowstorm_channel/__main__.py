"""``python -m flowstorm_channel``: the command ``flowstorm-channel``."""

import sys

from flowstorm_channel.cli import main

sys.exit(main())
