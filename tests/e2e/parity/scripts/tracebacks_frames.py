"""Frames of the library, of lambdas, of comprehensions and of code without a source."""

import json


class Odd:
    pass


def serialize(value):
    return json.dumps(value, default=lambda item: exec("raise TypeError('no ' + type(item).__name__)", {"item": item}))


[serialize(value) for value in (1, Odd())]
