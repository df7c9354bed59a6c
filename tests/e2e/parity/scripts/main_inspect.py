"""``inspect`` finds the source of functions and classes of the script."""

import inspect


def add(first, second=2):
    # A comment belongs to the source.
    return first + second


class Adder:
    """Adds."""

    def add(self, number):
        return number + 1


print(inspect.getsource(add), inspect.getsource(Adder), inspect.getsource(Adder.add), sep="")
print(inspect.signature(add), inspect.getdoc(Adder), inspect.getmodule(add).__name__, inspect.getsourcelines(add)[1])
