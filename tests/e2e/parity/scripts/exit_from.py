"""A SystemExit that is raised from another exception shows none of it."""

try:
    1 / 0
except ZeroDivisionError as error:
    raise SystemExit("stopped") from error
