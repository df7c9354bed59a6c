"""A recursion without an end that is not caught."""


def forever(number):
    forever(number + 1)


forever(0)
