"""A character that UTF-8 does not have is an error, and the lines before it are printed."""

print("before")
print("\ud800")
