"""A compressed file that is not closed is complete at the end."""

import gzip

file = gzip.GzipFile("files_gzip.gz", "wb", mtime=0)
file.write(b"some text " * 100)
file.close()
with gzip.open("files_gzip.gz", "rt") as text:
    print(len(text.read()))
left = open("files_gzip_left.gz", "wb")
left.write(gzip.compress(b"not closed", mtime=0))
