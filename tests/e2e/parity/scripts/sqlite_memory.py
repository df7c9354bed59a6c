"""A database in memory with functions of the script."""

import sqlite3

connection = sqlite3.connect(":memory:")
connection.row_factory = sqlite3.Row
connection.create_function("double", 1, lambda value: 2 * value)
connection.execute("create table numbers (value integer)")
connection.executemany("insert into numbers values (?)", [(1,), (2,)])
print([tuple(row) for row in connection.execute("select value, double(value) as twice from numbers")])
connection.execute("insert into missing values (1)")
