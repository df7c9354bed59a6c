"""The command: its exit code, and what an interrupt does before a run and after it."""

import errno
import os
import signal
import sys
from typing import NoReturn


def console_script() -> NoReturn:
    """Exit with the code of ``cli.main``."""
    # Not a KeyboardInterrupt: it is lost within a weak reference's callback, and one of an import then leaves a lock
    # taken for which the next thread that imports waits for ever. Source: _get_module_lock in CPython's importlib.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    try:
        from fastrun.cli.main import main
    except (OSError, MemoryError, ImportError, SystemError) as error:
        os.write(2, f"fastrun: cannot start: {str(error) or os.strerror(errno.ENOMEM)}\n".encode())
        os._exit(2)
    sys.exit(main())


def _leave(number: int, _: object) -> NoReturn:
    """While loading, or when all is written: nothing runs that would have to be ended."""
    os._exit(128 + number)


if __name__ == "__main__":
    console_script()
