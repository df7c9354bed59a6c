"""Print totals as bars. A process of its own has none of the values in ``ledger``: it reads them from a file."""

import json

with open("out/totals.json") as file:
    totals = json.load(file)

for name, cents in sorted(totals.items(), key=lambda item: item[1]):
    print(f"{name:<4} {'#' * (cents // 100)} {cents / 100:.2f}")
