"""Steps of the pipeline, each from files to a file."""

import csv
import json
from collections import Counter
from pathlib import Path


def revenue(table: str, sums: str) -> None:
    """Write the revenue of each product in `table`, in cents."""
    with open(table, newline="") as lines:
        cents = {row["product"]: int(row["units"]) * int(row["cents"]) for row in csv.DictReader(lines)}
    Path(sums).write_text(json.dumps(cents))


def merge(sums: list[str], total: str) -> None:
    """Write the sums of all shops, the largest first."""
    counted: Counter[str] = sum((Counter(json.loads(Path(shop).read_text())) for shop in sums), Counter())
    Path(total).write_text(json.dumps(counted.most_common()))


def show(total: str) -> None:
    """Print the table."""
    rows = json.loads(Path(total).read_text())
    print("product  revenue")
    for product, cents in [*rows, ("total", sum(cents for _, cents in rows))]:
        print(f"{product:<8} {cents / 100:7.2f}")
