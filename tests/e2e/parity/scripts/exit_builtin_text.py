"""``quit`` takes a text, as ``sys.exit`` does."""

quit("quits")
