"""An exception in ``__del__`` is reported, and the script goes on."""


class Broken:
    def __del__(self):
        raise ValueError("in __del__")


Broken()
print("goes on")
