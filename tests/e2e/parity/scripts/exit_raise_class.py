"""``raise SystemExit`` without a call."""

raise SystemExit
