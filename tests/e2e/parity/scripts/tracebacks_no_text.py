"""An exception whose text cannot be made."""


class Failure(Exception):
    def __str__(self):
        raise ValueError("no text")


raise Failure
