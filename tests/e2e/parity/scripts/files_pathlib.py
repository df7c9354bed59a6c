"""Folders, names that are no text, and an append."""

import os
from pathlib import Path

folder = Path("files_pathlib")
folder.mkdir()
(folder / "a.txt").write_text("a\u00e9\n", encoding="utf-8")
with (folder / "a.txt").open("ab") as file:
    file.write(b"more")
print(sorted(os.listdir(folder)), (folder / "a.txt").stat().st_size, (folder / "b.txt").exists())
