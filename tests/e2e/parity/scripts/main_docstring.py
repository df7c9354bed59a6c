"""The first text of a script is its ``__doc__``, and names with two underscores have their usual values."""

print(__doc__[:19], __name__, __package__, __spec__, type(__loader__).__name__ != "")
print([name for name in dir() if not name.startswith("__")], sorted(vars()) == sorted(globals()))
