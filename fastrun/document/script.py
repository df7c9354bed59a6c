"""The files that tasks name as their scripts.

Knows paths and their encoding. Does not know how a script is run.
"""

import os
import stat


def script_path(script: str) -> bytes:
    """Return the path of a script in the bytes of the document, whatever the locale. Raises UnicodeEncodeError."""
    return script.encode("utf-8", "surrogateescape")


def script_name(script: str) -> str:
    """Return the path of a script as Python names it in this locale: ``open`` finds the bytes of the document."""
    return os.fsdecode(script_path(script))


def script_fault(script: str) -> str:
    """Return why a script cannot be read, an empty text if it can. It is not opened: it may be a pipe."""
    try:
        path = script_path(script)
        if stat.S_ISDIR(os.stat(path).st_mode):
            return "it is a folder"
    except OSError as error:
        return error.strerror or str(error)
    except UnicodeEncodeError:
        return "no file can have this name"
    return "" if os.access(path, os.R_OK) else "permission denied"


def script_text(script: str) -> str:
    """Return the source in a script, decoded as Python does it. Empty if that fails: Python says why when it runs."""
    from importlib.util import decode_source  # few scripts run on another machine

    try:
        return decode_source(script_content(script) or b"")
    except (SyntaxError, UnicodeDecodeError):
        return ""


def script_content(script: str) -> bytes | None:
    """Return what is in a script, None if it is no regular file that can be read. A pipe could be read only once."""
    try:
        path = script_path(script)
        if not os.path.isfile(path):
            return None
        with open(path, "rb") as file:
            return file.read()
    except (OSError, UnicodeEncodeError):
        return None
