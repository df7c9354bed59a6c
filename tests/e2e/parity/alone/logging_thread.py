"""A log from threads of the script."""

import logging
import threading

logging.basicConfig(level=logging.INFO, format="%(threadName)s %(message)s")
thread = threading.Thread(target=logging.info, args=("from a thread",), name="reporter")
thread.start()
thread.join()
