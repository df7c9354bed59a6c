"""A warning of the compiler names the script's line."""

print(() is 0)
