"""A file is flushed also when the script ends by an exception whose traceback holds it."""


def main():
    file = open("files_exception.txt", "w")
    file.write("before the exception\n")
    raise RuntimeError("the file is still open")


main()
