"""Objects in cycles are destroyed at the end of the script."""

import gc

gc.disable()


class Noisy:
    def __init__(self, name):
        self.name, self.me = name, self

    def __del__(self):
        print("destroyed", self.name)


Noisy("in a cycle")
print("the script ends")
