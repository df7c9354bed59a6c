"""A limit that a script sets is its own."""

import resource

resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
with open("files_limit.txt", "wb", buffering=0) as file:
    print(file.write(bytes(20_000)))
    file.write(b"x")
