"""Exit statuses of forked processes: well, badly, by an exception, by a signal."""

import multiprocessing
import os
import signal
import sys


def fail():
    raise ValueError("in a process")


def kill():
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    for target, args in ((print, ()), (sys.exit, (3,)), (fail, ()), (kill, ())):
        process = context.Process(target=target, args=args, name=f"process of {target.__name__}")
        process.start()
        process.join()
        sys.stdout.flush()
        print(process.exitcode, flush=True)
