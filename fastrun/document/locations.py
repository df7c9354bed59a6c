"""Where in a JSON text its values are, by line and column.

Knows JSON, and a text that is known to be valid. Does not know what the text means. Imported once a location is needed.
"""

import json
import re

from fastrun.text import printable

Path = tuple[str | int, ...]

_SPACE = re.compile(r"[ \t\n\r]*")


class Locations:
    """Lines and columns, both from 1 and columns in characters, of the values of a JSON text."""

    def __init__(self, name: str, data: bytes | None) -> None:
        """``name``: of the document. ``data``: its text, None for a document that came as an object."""
        self._name = printable(name)
        self._text = (data or b"").decode()
        self._has_text = data is not None
        self._children: dict[int, dict[str | int, tuple[int, int]]] = {}
        # Numbers are skipped, not converted: a number of 5,000 digits would raise.
        self._decoder = json.JSONDecoder(parse_int=str, parse_float=str)

    def show(self, path: Path, *, at_key: bool = False) -> str:
        """Return ``FILE:LINE:COLUMN`` of the value at a path, or ``FILE: $.path`` if there is no text.

        ``at_key``: of the key that leads to the value.
        """
        if self._has_text:
            line, column = self.find(path, at_key=at_key)
            return f"{self._name}:{line}:{column}"
        steps = []
        for step in path:
            if isinstance(step, int):
                steps.append(f"[{step}]")
            else:
                steps.append(f".{step}" if step.isidentifier() else f"[{printable(json.dumps(step))}]")
        return f"{self._name}: ${''.join(steps)}"

    def find(self, path: Path, *, at_key: bool = False) -> tuple[int, int]:
        """Return the line and the column of what ``show`` shows, (0, 0) if there is no text."""
        if not self._has_text:
            return (0, 0)
        start = self._skip_space(0)
        key_start = start
        for step in path:
            try:
                children = self._scan(start)
            except RecursionError:
                # The value is deeper than the scanner goes: the location of its container is near enough.
                break
            if step not in children:
                break
            key_start, start = children[step]
        position = key_start if at_key else start
        return (
            self._text.count("\n", 0, position) + 1,
            position - self._text.rfind("\n", 0, position),
        )

    def _skip_space(self, position: int) -> int:
        match = _SPACE.match(self._text, position)
        return position if match is None else match.end()

    def _scan(self, start: int) -> dict[str | int, tuple[int, int]]:
        """Return where the keys and values directly inside a container begin. The last of two equal keys counts."""
        found = self._children.get(start)
        if found is None:
            found = self._children[start] = {}
            opening = self._text[start]
            position = self._skip_space(start + 1)
            while opening in "[{" and self._text[position] not in "]}":
                key: str | int = len(found)
                key_start = position
                if opening == "{":
                    key, position = self._decoder.raw_decode(self._text, position)
                    position = self._skip_space(self._skip_space(position) + 1)
                found[key] = (key_start, position)
                position = self._skip_space(self._decoder.raw_decode(self._text, position)[1])
                if self._text[position] == ",":
                    position = self._skip_space(position + 1)
        return found
