"""``input`` shows its prompt and raises EOFError."""

try:
    input("name? ")
except EOFError as error:
    print(repr(error))
input()
