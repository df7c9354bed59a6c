"""Finalizers that are not called before are called at the end."""

import weakref


class Resource:
    pass


resource = Resource()
weakref.finalize(resource, print, "finalized")
other = weakref.finalize(Resource(), print, "finalized at once")
print(other.alive)
