"""A file that only a closure holds is flushed at the end."""


def make_writer(name):
    file = open(name, "w")

    def write(text):
        file.write(text)

    return write


write = make_writer("files_closure.txt")
write("by a closure\n")
