"""A failed assertion, and ``__traceback__`` without frames."""

value = 3
try:
    assert value == 4, f"value is {value}"
except AssertionError as error:
    print(error, error.__traceback__.tb_lineno)
    raise error.with_traceback(None) from None
