"""A seed gives the same numbers."""

import random

random.seed(3)
print([random.randrange(100) for _ in range(5)])
