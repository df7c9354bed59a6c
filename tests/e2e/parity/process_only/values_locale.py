"""The locale is the script's own."""

import locale

print(locale.setlocale(locale.LC_ALL, "C"), locale.localeconv()["decimal_point"])
