"""The look-up of programs, as ``execvp`` does it, but in the PATH of the command's own environment.

Knows paths and permissions. Does not know how a program is started.
"""

import errno
import os
from functools import lru_cache

# Searched where the environment has no PATH.
_DEFAULT_PATH = os.fsencode(os.defpath)

# Most look-ups of which the candidates are kept.
_KEPT = 1024


def find_program(name: bytes, path: bytes | None, directory: bytes) -> bytes:
    """Return the file to execute for the first word of a command. Raises OSError that names the word.

    ``path``: the PATH of the command's environment, or None. ``directory``: where the command runs. A name with a slash
    is returned as it is: the system takes it relative to the directory of the command.

    What was found is not kept, because a task may install a program. A look-up takes a microsecond for each folder.
    """
    if b"/" in name:
        return name
    reason = errno.ENOENT
    for candidate in _candidates(name, path, directory):
        if os.access(candidate, os.X_OK):
            if os.path.isfile(candidate):
                return candidate
        elif os.path.isfile(candidate):
            reason = errno.EACCES
    raise OSError(reason, os.strerror(reason), name)


@lru_cache(_KEPT)
def _candidates(name: bytes, path: bytes | None, directory: bytes) -> list[bytes]:
    """Return the files that may be the program, in the order of PATH, where an empty entry is the directory."""
    folders = (_DEFAULT_PATH if path is None else path).split(b":")
    return [os.path.join(directory, folder, name) for folder in folders]
