"""Plain computing with the library."""

import collections
import itertools
import operator
import string
import textwrap
from fractions import Fraction

words = collections.Counter(string.ascii_lowercase[index % 3] for index in range(7))
print(words.most_common(2), list(itertools.accumulate([1, 2, 3], operator.mul)), Fraction(3, 6))
print(textwrap.fill("some words that are wrapped", 12))
print(f"{3.14159:.2f} {255:#x} {1_000_000:,} {'centre':^10}|")
