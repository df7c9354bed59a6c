"""Two sockets, a thread, and a socket that is never closed."""

import socket
import threading

left, right = socket.socketpair()
thread = threading.Thread(target=lambda: right.sendall(right.recv(10)[::-1]))
thread.start()
left.sendall(b"abc")
print(left.recv(10))
thread.join()
