"""The context variable of a snippet, by which its code and the threads that it starts are known."""

from collections.abc import Callable
from contextvars import ContextVar

# The function that takes what the task of this context prints, and the task's number. The function is called with that
# number, the stream and the bytes. It returns False once the run is over.
OUTPUT: ContextVar[tuple[Callable[[int, int, bytes], bool], int]] = ContextVar("fastrun_output")
