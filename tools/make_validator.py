"""Writes ``fastrun/document/validator.py``, the validator of a task: ``python -m tools.make_validator``.

To be run after each change of ``fastrun/document/schema.json``; a test compares the digests. The code is what
fastjsonschema makes of the schema, without the texts of its errors: what is wrong with a document
is worked out, from the schema itself, in ``fastrun.document.check``. So a start with a good document imports no
fastjsonschema and compiles no schema.
"""

import ast
import hashlib
import json
from pathlib import Path

import fastjsonschema

# Read from the file and not through fastrun.document.parse, which imports what is to be made here.
_FOLDER = Path(__file__).parents[1] / "fastrun" / "document"
_SCHEMA = (_FOLDER / "schema.json").read_bytes()

_HEADER = '''\
"""Whether an object is a task as schema.json describes it.

Generated from schema.json by tools/make_validator.py with fastjsonschema {version}; not to be edited.
"""

import re
from typing import Any

# Of the schema.json that this was made from.
SCHEMA_SHA256 = "{digest}"

# The keys of a task that the schema knows.
KEYS = frozenset({keys})


class Invalid(Exception):
    """The object is not valid."""


'''


class _Shorten(ast.NodeTransformer):
    """Replaces fastjsonschema's exceptions, with their texts and definitions, by one of ours."""

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        return ast.copy_location(ast.Raise(ast.Name("Invalid", ast.Load())), node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.ExceptHandler:
        self.generic_visit(node)
        node.type = ast.Name("Invalid", ast.Load())
        return node

    def visit_Tuple(self, node: ast.Tuple) -> ast.Tuple:
        # JSON has none, and the import would cost a millisecond of every start.
        node.elts = [item for item in node.elts if not (isinstance(item, ast.Name) and item.id == "Decimal")]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.args = ast.arguments([], [ast.arg("data", ast.Name("Any"))], None, [], [], None, [])
        node.returns = ast.Name("Any")
        doc = "Return an object as it is, or raise Invalid."
        node.body.insert(0, ast.Expr(ast.Constant(doc)))
        return node


def generate() -> str:
    """The text of the module. Defaults are not filled in, which would change the input; formats are not used."""
    task = json.loads(_SCHEMA)["definitions"]["task"]
    code = fastjsonschema.compile_to_code(task, use_default=False, use_formats=False)
    kept = []
    for node in _Shorten().visit(ast.parse(code)).body:
        patterns = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "REGEX_PATTERNS"
        if patterns or isinstance(node, ast.FunctionDef):
            kept.append(ast.unparse(ast.fix_missing_locations(node)))
    digest = hashlib.sha256(_SCHEMA).hexdigest()
    header = _HEADER.format(version=fastjsonschema.VERSION, digest=digest, keys=sorted(task["properties"]))
    return header + "\n\n".join(kept) + "\n"


if __name__ == "__main__":
    (_FOLDER / "validator.py").write_text(generate(), encoding="utf-8")
