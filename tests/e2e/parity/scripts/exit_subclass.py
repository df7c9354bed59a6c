"""A subclass of SystemExit counts as one, with its ``code``."""


class Leave(SystemExit):
    pass


raise Leave(4)
