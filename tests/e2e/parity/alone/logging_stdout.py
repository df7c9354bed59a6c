"""``basicConfig`` with another stream, another format and another level."""

import logging
import sys
import time

logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="stdout %(levelname)s: %(message)s")
logging.info("not shown")
time.sleep(0.03)
logging.warning("shown")
print(len(logging.getLogger().handlers), logging.getLogger().level)
