"""A file in a generator that is not exhausted is closed at the end, and its ``finally`` runs."""


def lines(name):
    with open(name, "w") as file:
        try:
            while True:
                file.write((yield))
        finally:
            file.write("closed\n")


receiver = lines("files_generator.txt")
next(receiver)
receiver.send("a line\n")
print("sent")
