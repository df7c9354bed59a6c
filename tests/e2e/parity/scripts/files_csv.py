"""Rows written by a csv writer whose file is not closed are in the file."""

import csv

writer = csv.writer(open("files_csv.csv", "w", newline=""))
writer.writerow(["name", "count"])
writer.writerows([["a", 1], ["b, c", 2]])
