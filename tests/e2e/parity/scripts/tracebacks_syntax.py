"""A script that cannot be compiled prints nothing but the error."""

print("never printed")
return 3
