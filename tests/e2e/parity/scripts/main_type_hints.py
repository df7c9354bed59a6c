"""Postponed annotations are resolved in the script's namespace."""

from __future__ import annotations

import typing
from dataclasses import dataclass, field, fields
from typing import ClassVar, get_type_hints


@dataclass(order=True)
class Tree:
    name: str
    parts: list[Tree] = field(default_factory=list)
    count: ClassVar[int] = 0
    above: typing.Optional[Tree] = None


print([each.name for each in fields(Tree)], Tree("a", [Tree("b")]))
print(sorted(get_type_hints(Tree)), get_type_hints(Tree)["above"] == typing.Optional[Tree])
