"""A log in a file, whose handler is never closed."""

import logging

handler = logging.FileHandler("logging_file.txt")
handler.setFormatter(logging.Formatter("%(levelname)s:%(funcName)s:%(message)s"))
logger = logging.getLogger("parity.file")
logger.addHandler(handler)
logger.setLevel("INFO")
logger.propagate = False


def work():
    logger.info("working")


work()
