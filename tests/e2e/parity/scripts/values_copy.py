"""Copies, slots, properties and abstract classes of the script's own."""

import abc
import copy
import functools


class Shape(abc.ABC):
    __slots__ = ("size",)

    def __init__(self, size):
        self.size = size

    @abc.abstractmethod
    def area(self): ...


class Square(Shape):
    def area(self):
        return self.size**2


@functools.cache
def area(size):
    return copy.deepcopy(Square(size)).area()


print(area(3), area(3), area.cache_info(), Square)
Shape(1)
