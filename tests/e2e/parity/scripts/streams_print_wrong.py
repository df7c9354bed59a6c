"""``write`` of something that is no text is an error."""

import sys

sys.stdout.write(b"bytes")
