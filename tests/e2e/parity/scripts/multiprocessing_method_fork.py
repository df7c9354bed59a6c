"""A script sets the way in which its processes start: once, and for itself alone."""

import multiprocessing
import time


def work(connection):
    connection.send(multiprocessing.get_start_method())


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    time.sleep(0.05)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=work, args=(sender,))
    process.start()
    print(receiver.recv(), process.join(), multiprocessing.get_start_method())
    multiprocessing.set_start_method("fork")
