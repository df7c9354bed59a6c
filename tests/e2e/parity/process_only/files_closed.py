"""A script that closes all descriptors but the standard ones, as programs do that become daemons."""

import os

os.closerange(3, 256)
print(len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 4)
