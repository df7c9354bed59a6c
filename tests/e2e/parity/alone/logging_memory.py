"""A handler that keeps records back writes them when Python ends."""

import logging
import logging.handlers
import sys

target = logging.StreamHandler(sys.stdout)
handler = logging.handlers.MemoryHandler(100, target=target)
logger = logging.getLogger("parity.memory")
logger.addHandler(handler)
logger.error("kept back")
print("printed first")
