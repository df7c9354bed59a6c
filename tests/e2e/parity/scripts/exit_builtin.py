"""``exit`` closes standard input, and ends the script."""

print("leaves")
exit(0)
