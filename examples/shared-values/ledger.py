"""What the snippets of ``orders.json`` share: a module is imported once in a run."""

import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Order:
    """What a customer has ordered. Here and not in a snippet, as the orders outlive the snippet that makes them."""

    customer: str
    cents: int


orders: list[Order] = []
totals: dict[str, int] = {}
# Snippets that run at the same time change ``totals`` one by one.
lock = threading.Lock()
