"""Newer syntax: match, walrus, f-strings, type parameters left out."""

from dataclasses import dataclass


@dataclass
class Point:
    x: int
    y: int


for value in (Point(0, 2), [1, 2, 3], {"key": "v"}, None):
    match value:
        case Point(x=0, y=y):
            print(f"{y=}")
        case [first, *rest]:
            print(f"{first!r:>3} {rest}")
        case {"key": text} if (size := len(text)):
            print(size)
        case _:
            print("nothing")
