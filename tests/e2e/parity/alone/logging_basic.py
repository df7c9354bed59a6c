"""``basicConfig`` sets the format and the level of the script's own log."""

import logging
import time

logging.basicConfig(level=logging.DEBUG, format="basic %(levelname)s %(name)s %(message)s")
logging.debug("details")
time.sleep(0.03)
logging.getLogger("parity.basic").info("number %d", 3)
