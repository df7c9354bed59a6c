"""Names that are nearly right get a suggestion."""

import collections

try:
    collections.namedtupel
except AttributeError as error:
    print(error.name)
length = 1
print(lenght)
