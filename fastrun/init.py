"""Process 1 of a container: reaps orphans, and hands signals on to the process that does the work.

The kernel makes process 1 the parent of every process whose own parent has ended, and keeps that as a zombie until it
is reaped. The work is done in a child, whose children are all its own: so no status is taken from a command or from a
snippet. Knows processes and signals. Does not know what the work is.
"""

import os
import signal
from typing import NoReturn

# Signals that do not wait: a fault of the process itself causes them, or they cannot be blocked.
_AT_ONCE = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGKILL, signal.SIGSTOP}

_STANDARD_STREAMS = (0, 1, 2)


def split_off() -> None:
    """Return in a child, for which this process is the init from now on, and exits as the child does.

    Return in this process if the system grants no other.
    """
    handed_on = signal.valid_signals() - _AT_ONCE
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, handed_on)
    # A parent that ignores it would have the kernel throw exit statuses away.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # What a terminal sends reaches each process of the foreground group. In a group of its own the child gets only what
    # is handed on, so that a signal to the group of this process reaches it once.
    in_foreground = any(map(_is_in_foreground, _STANDARD_STREAMS))
    try:
        child = os.fork()
    except OSError:
        child = 0
    else:
        if child:
            _serve(child, handed_on, in_foreground)
        elif not in_foreground:
            os.setpgid(0, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _is_in_foreground(descriptor: int) -> bool:
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False


def _serve(child: int, handed_on: set[signal.Signals], in_foreground: bool) -> NoReturn:
    """Reap processes and hand on signals until the child has ended, and exit as it did."""
    while True:
        found = signal.sigwaitinfo(handed_on)
        if found.si_signo == signal.SIGCHLD:
            _reap(child)
        elif not (in_foreground and found.si_code > 0):
            # The code is above 0 for signals that the kernel sends, as the terminal's are.
            os.kill(child, found.si_signo)


def _reap(child: int) -> None:
    """Reap all that have ended. Exit if the child has."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
        if pid == child and os.WIFSTOPPED(status):
            # Process 1 cannot be stopped, so no shell would continue what Ctrl-Z has stopped. After any other signal
            # the child has to wait for the terminal, and would be stopped again.
            if os.WSTOPSIG(status) == signal.SIGSTOP:
                os.kill(child, signal.SIGCONT)
        elif pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
        elif not pid:
            return
