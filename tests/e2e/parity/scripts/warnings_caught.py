"""``catch_warnings`` records what the script warns of."""

import time
import warnings

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    warnings.warn("recorded")
    time.sleep(0.1)
    warnings.warn("recorded too", RuntimeWarning)
print([(item.category.__name__, str(item.message), item.lineno) for item in caught])
