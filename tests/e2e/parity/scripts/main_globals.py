"""Functions share the script's globals, and nothing but the script's own names is in them."""

total = 0


def add(amount):
    global total
    total += amount


add(2)
exec("total += 3")
print(eval("total"), sorted(name for name in globals() if not name.startswith("__")), add.__module__)
