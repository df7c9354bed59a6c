"""Values of ``threading.local`` and context variables belong to a thread."""

import contextvars
import threading

local = threading.local()
local.value = "script"
variable = contextvars.ContextVar("variable", default="default")
variable.set("script")


def look():
    print(getattr(local, "value", "nothing"))
    local.value = "thread"


thread = threading.Thread(target=look)
thread.start()
thread.join()
print(local.value, variable.get(), len([var for var in contextvars.copy_context() if var is variable]))
