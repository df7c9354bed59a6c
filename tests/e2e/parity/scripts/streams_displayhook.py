"""Code compiled for ``single`` shows the values of expressions."""

import sys

exec(compile("1 + 1", "<single>", "single"))
sys.displayhook("text")
