"""Prints the words of standard input, the most frequent first."""

import sys

from words import count

for word, times in count(sys.stdin.read()).most_common():
    print(times, word)
