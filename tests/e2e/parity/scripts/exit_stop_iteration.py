"""StopIteration and GeneratorExit are exceptions as any other."""

try:
    raise GeneratorExit("first")
except GeneratorExit as error:
    print(repr(error))
next(iter([]))
