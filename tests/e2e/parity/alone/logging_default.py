"""Without any configuration warnings go to standard error."""

import logging

logging.getLogger("parity.default").warning("by the last resort")
logging.getLogger("parity.default").info("not shown")
logging.warning("by the root")
