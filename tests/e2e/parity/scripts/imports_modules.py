"""Nothing of the program that runs a script stands in its way."""

import __main__

print([name for name in ("fastrun", "console_script", "main") if hasattr(__main__, name)])
