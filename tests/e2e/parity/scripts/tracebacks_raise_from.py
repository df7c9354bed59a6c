"""Chains of exceptions, with causes, contexts and notes."""


def low():
    raise KeyError("low")


def middle():
    try:
        low()
    except KeyError as error:
        raise ValueError("middle") from error


try:
    middle()
except ValueError:
    failure = RuntimeError("high\nin two lines")
    failure.add_note("a note")
    raise failure
