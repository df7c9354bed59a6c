"""Starts the command line; an interrupt before a run, or after it, ends the process at once."""

import errno
import os
import signal
import sys
from typing import NoReturn


def console_script() -> NoReturn:
    """Exit with the code of ``cli.main``."""
    if os.getpid() == 1:
        from fastrun.init import split_off  # which no other process needs

        split_off()
    # Not a KeyboardInterrupt: it is lost within a weak reference's callback. In the callback of an import it leaves a
    # lock taken, for which the next thread that imports waits for ever (CPython's importlib, _get_module_lock).
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    try:
        from fastrun.cli.main import main
    except (OSError, MemoryError, ImportError, SystemError) as error:
        os.write(2, f"fastrun: cannot start: {str(error) or os.strerror(errno.ENOMEM)}\n".encode())
        os._exit(2)
    sys.exit(main())


def _leave(number: int, _: object) -> NoReturn:
    """End the process: while loading, or when all is written, nothing runs that would have to be ended."""
    os._exit(128 + number)


if __name__ == "__main__":
    console_script()
