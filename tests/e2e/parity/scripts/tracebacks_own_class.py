"""Exceptions of the script's own classes are named as such."""


class Failure(Exception):
    def __str__(self):
        return f"code {self.args[0]}"

    class Inner(Exception):
        pass


try:
    raise Failure.Inner
except Failure.Inner as error:
    raise Failure(5) from error
