"""``from __future__`` imports reach only the script, and ``compile`` inherits them."""

from __future__ import annotations

import __future__


def annotated(value: undefined_name):
    return value


namespace = {}
exec("def other(value: also_undefined): pass", namespace)
print(annotated.__annotations__, namespace["other"].__annotations__, annotations is __future__.annotations)
