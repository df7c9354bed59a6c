"""The end of what a task printed, with the frames of its own code before it.

A traceback that goes deep into a library, or tells of many exceptions, is longer than the end that is kept or shown,
which then does not say which line of the snippet failed. Knows the text of Python's tracebacks, which a task may print
itself too; does not know the reader of the end.
"""

import os.path
import re

from fastrun.document.task import Task

# Most frames before an end: the last ones, which are the innermost.
_FRAMES = 8

# A frame: the spaces and, in an exception group, bars before it; the file; lines of the source and their marks.
# Compiled when it is first used: most runs never do.
_FRAME = rb'(?m)^([ |]*)File "(.+)", line \d.*\n(?:\1  .{0,300}\n){0,6}'


def last_bytes(before: bytes | bytearray, data: bytes, most: int, task: Task) -> bytes:
    """Return the last ``most`` bytes of ``before + data``, without a cut first line unless it is all there is.

    Frames come before them, at most half as many bytes.
    """
    # Commands print much at once and have no frames.
    output = data if len(data) >= most and task.type == "exec" else bytes(before) + data
    start = len(output) - most
    if start <= 0:
        return output
    start = output.find(b"\n", start - 1, -1) + 1 or start
    return _frames(output, start, task, most // 2) + output[start:]


def last_lines(output: bytes, most: int, task: Task) -> list[bytes]:
    """Return the last ``most`` lines, after frames."""
    # Only a line feed ends a line; splitlines knows more ends.
    lines = output.removesuffix(b"\n").split(b"\n") if output else []
    if len(lines) > most:
        start = sum(map(len, lines[:-most])) + len(lines) - most
        lines[:-most] = _frames(output, start, task, start).split(b"\n")[:-1]
    return lines


def _frames(output: bytes, end: int, task: Task, most: int) -> bytes:
    """Return the last frames of the task's own code in ``output[:end]``, at most ``most`` bytes, and a line of dots."""
    if task.type == "exec":
        return b""
    # A script's frames have its full path.
    name = f"<task {task.label}>" if task.script is None else os.path.basename(task.script)
    file = name.encode(errors="replace")
    # Backwards: most of a long output need not be looked at closely.
    begin = end
    for _ in range(_FRAMES):
        found = output.rfind(file + b'", line ', 0, begin)
        if found < 0:
            break
        begin = found
    begin = output.rfind(b"\n", 0, begin) + 1
    frames = [frame for frame in re.finditer(_FRAME, output[begin:end]) if (b"/" + frame[2]).endswith(b"/" + file)]
    while sum(len(frame[0]) for frame in frames) > most:
        del frames[0]
    if not frames:
        return b""
    gap = b"" if frames[-1].end() == end - begin else b"...\n"
    return b"".join([*(frame[0] for frame in frames), gap])
