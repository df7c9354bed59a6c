"""What signals do, at any moment: to a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.support.processes import unmeasured

# A run that hears nothing, and its end.
PROGRAM = """
import asyncio, time, uvloop
from fastrun.runner.signals import Signals

class Run:
    def interrupt(self, number):
        pass

async def main(signals):
    signals.handle()
    print("ready", flush=True)
    await asyncio.sleep(0.002)
    signals.run_ended()

uvloop.run(main(Signals(Run())))
time.sleep(1000)
"""

PROCESSES = 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_no_moment_is_without_a_handler(number):
    for _ in range(PROCESSES):
        with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, env=unmeasured()) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            # Through the end of the run and that of the loop; with time for each to be handled.
            while process.poll() is None:
                os.kill(process.pid, number)
                time.sleep(0.00002)
        assert process.returncode == 128 + number


# A run that was over when its signal came. Its timer is ending the process when the main thread comes to its end too.
AT_BOTH_ENDS = """
import asyncio, os, signal, sys, threading, traceback, uvloop
from fastrun.runner import signals

async def main(handlers):
    handlers.handle()
    handlers.run_ended()

began = threading.Event()
restored = threading.Event()
leave = os._exit

def end(code):
    began.set()
    while not restored.is_set():
        frames = traceback.extract_stack(sys._current_frames()[threading.main_thread().ident])
        if {"restore", "join"} <= {frame.name for frame in frames}:
            break
    print("two" if restored.is_set() else "one", flush=True)
    leave(code)

os._exit = end
signals.LAST_WORDS = 0
handlers = signals.Signals(None)
uvloop.run(main(handlers))
signal.raise_signal(signal.SIGTERM)
began.wait()
handlers.restore()
restored.set()
threading.Event().wait()
"""


def test_one_thread_alone_ends_the_process():
    result = subprocess.run([sys.executable, "-c", AT_BOTH_ENDS], env=unmeasured(), capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (143, b"one\n", b"")


# A program that is interrupted where a KeyboardInterrupt is lost: as in imports, while it loads.
WITHIN_CALLBACK = """
import os, signal, weakref
import fastrun.__main__, fastrun.cli.main

class Thing:
    pass

def main():
    thing = Thing()
    reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGINT))
    del thing
    return 0

fastrun.cli.main.main = main
fastrun.__main__.console_script()
"""


def test_an_interrupt_while_loading_is_not_lost_anywhere():
    result = subprocess.run([sys.executable, "-c", WITHIN_CALLBACK], env=unmeasured(), capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (130, b"")
