"""The script runs in the main process, which has no parent process."""

import multiprocessing

print(multiprocessing.current_process().name, multiprocessing.parent_process(), multiprocessing.active_children())
