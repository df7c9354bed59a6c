"""A limit that a script sets is its own."""

import resource

resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
with open("files_limit.txt", "wb", buffering=0) as file:
    print(file.write(bytes(200)))
    file.write(b"x")
