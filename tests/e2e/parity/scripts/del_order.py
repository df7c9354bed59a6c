"""Objects of the script are destroyed at its end, in the order in which Python clears a module."""


class Noisy:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        print("destroyed", self.name)


first = Noisy("first")
_private = Noisy("private")
second = Noisy("second")
Noisy("at once")
print("the script ends")
