"""Positions in lines with wide characters, over several lines, and after a continuation."""

text = "\u00e9\u00e8 wide: \u6f22\u5b57"; value = text + (
    "more"
    + str(1) \
    + 2
)
