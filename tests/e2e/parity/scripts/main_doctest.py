"""``doctest.testmod()`` finds the examples of the script."""

import contextlib
import doctest
import io


def double(number):
    """Return twice the number.

    >>> double(2)
    4
    >>> double("a")
    'ab'
    """
    return 2 * number


text = io.StringIO()
with contextlib.redirect_stdout(text):
    result = doctest.testmod()
# The first line names a file, and a script that is given as text has a temporary one, or none.
print(*text.getvalue().splitlines()[2:], sep="\n")
print(result.failed, result.attempted)
