"""Objects of classes of the script can be pickled and found again by their names."""

import pickle
from collections import namedtuple
from enum import Enum

Point = namedtuple("Point", "x y")


class Color(Enum):
    RED = 1


class Node:
    def __init__(self, value):
        self.value = value


print(pickle.loads(pickle.dumps(Node(3))).value, pickle.loads(pickle.dumps(Point(1, 2))))
print(pickle.loads(pickle.dumps([Color.RED, Node]))[0] is Color.RED)
try:
    pickle.dumps(lambda: None)
except Exception as error:
    print("lambda" in str(error))
