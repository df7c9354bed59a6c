"""``logging.exception`` shows the traceback with the script's lines."""

import logging

logging.basicConfig(format="%(message)s")
try:
    int("no number")
except ValueError:
    logging.exception("it failed")
