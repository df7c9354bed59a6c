"""What was written to a file that is still open at the end is in it."""

file = open("files_unclosed.txt", "w")
file.write("kept back in a buffer")
binary = open("files_unclosed.bin", "wb")
binary.write(b"\xff\x00")
print("written")
