"""A subclass of Thread with a ``run`` of its own."""

import threading


class Worker(threading.Thread):
    def __init__(self, number):
        super().__init__(name=f"worker-{number}")
        self.number = number

    def run(self):
        self.result = self.number**2


workers = [Worker(number) for number in range(4)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print([worker.result for worker in workers], repr(workers[0].name))
