"""``doctest.testmod()`` finds the examples of the script."""

import doctest


def double(number):
    """Return twice the number.

    >>> double(2)
    4
    >>> double("a")
    'ab'
    """
    return 2 * number


print(doctest.testmod())
