"""A structure that nests too deeply for a function of the library."""

import json

try:
    json.loads("[" * 100_000)
except RecursionError as error:
    print(type(error).__name__)
