"""Threads of fastrun itself, also those that end before they have begun."""

from __future__ import annotations

import threading

import pytest

from fastrun.threads import Thread


def test_a_thread_begins_and_ends():
    done = threading.Event()
    thread = Thread(done.set, "of the test")
    thread.start()
    thread.join()
    assert done.is_set()
    assert (thread.name, thread.daemon, thread.is_alive()) == ("of the test", True, False)
    assert not Thread(done.set, "another", daemon=False).daemon


def test_a_thread_that_ends_before_its_first_step_was_not_started(monkeypatch):
    # As for want of memory. Python says nothing of this error alone.
    def end(_):
        raise SystemExit

    monkeypatch.setattr(threading.Thread, "_bootstrap", end)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        Thread(pytest.fail, "never").start()
