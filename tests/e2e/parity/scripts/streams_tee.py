"""Standard output replaced by an object with a ``write`` method, as loggers of output do it."""

import sys


class Tee:
    def __init__(self, stream):
        self.stream = stream
        self.count = 0

    def write(self, text):
        self.count += len(text)
        return self.stream.write(text)

    def flush(self):
        self.stream.flush()


sys.stdout = Tee(sys.stdout)
print("to both")
print(sys.stdout.count)
sys.stdout = sys.stdout.stream
print(type(sys.stdout).__name__ == "Tee")
