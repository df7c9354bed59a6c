"""A connection belongs to the thread that opened it."""

import sqlite3
import threading

connection = sqlite3.connect(":memory:")


def use():
    try:
        connection.execute("select 1")
    except sqlite3.ProgrammingError as error:
        print(type(error).__name__)


thread = threading.Thread(target=use)
thread.start()
thread.join()
print(connection.execute("select 1").fetchone())
