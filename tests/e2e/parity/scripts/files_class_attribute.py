"""A file that a class holds is flushed at the end."""


class Log:
    file = open("files_class_attribute.txt", "w")

    @classmethod
    def write(cls, text):
        cls.file.write(text)


Log.write("by a class\n")
