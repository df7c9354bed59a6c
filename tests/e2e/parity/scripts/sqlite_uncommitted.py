"""What is not committed when the script ends is lost; what is committed is in the file."""

import sqlite3

connection = sqlite3.connect("sqlite_uncommitted.db")
connection.execute("create table numbers (value integer)")
connection.execute("insert into numbers values (1)")
connection.commit()
connection.execute("insert into numbers values (2)")
print(connection.in_transaction)
