"""A thread of ``_thread`` prints as the script does."""

import _thread

done = _thread.allocate_lock()
done.acquire()


def work(text):
    print(text)
    done.release()


_thread.start_new_thread(work, ("from a bare thread",))
done.acquire()
print("done")
