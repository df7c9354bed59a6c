"""A module that does not exist, and a name that a module does not have."""

try:
    from os import nothing_of_the_kind
except ImportError as error:
    print(error.name, "nothing_of_the_kind" in str(error))
import no_such_module_anywhere
