"""Hooks of mkdocs, by which the site has the repository's files at the paths that they have in it.

So a link between two files works alike in a checkout, on a forge and in the site. mkdocs itself knows only ``docs``.
The navigation in ``mkdocs.yml`` names pages by their paths in the repository; ``FOLDER/*`` stands for each page of a
folder. A file that is no page belongs to the site if a page links to it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]

# The target of a link or picture, without its anchor.
_TARGET = re.compile(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)")

# Code in the row of a table, with a bar in it.
_CODE_WITH_BAR = re.compile(r"`[^`\n]*\\\|[^`\n]*`")


def on_config(config: MkDocsConfig) -> None:
    """Name each page of a folder in the navigation."""
    config.nav = list(_expanded(config.nav or []))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Return the files of the site by their paths in the repository."""
    found = Files([file for file in files if file.src_dir != config.docs_dir])
    pages = {f"docs/{file.src_uri}" for file in files.documentation_pages()} | set(_leaves(config.nav or []))
    linked = {
        target for page in pages if (ROOT / page).is_file() for target in _targets(page) if (ROOT / target).is_file()
    }
    for path in sorted(pages | linked):
        if (ROOT / path).is_file():
            found.append(File(path, str(ROOT), config.site_dir, config.use_directory_urls))
    return found


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page with bars in the code of tables as mkdocs reads them; forges need a backslash before them."""
    return _CODE_WITH_BAR.sub(lambda found: found[0].replace(r"\|", "|"), markdown)


def _targets(page: str) -> Iterator[str]:
    for target in _TARGET.findall((ROOT / page).read_text()):
        yield normpath(join(dirname(page), target))


def _expanded(nav: list[Any]) -> Iterator[Any]:
    for entry in nav:
        if isinstance(entry, dict):
            ((title, part),) = entry.items()
            yield {title: list(_expanded(part)) if isinstance(part, list) else part}
        elif entry.endswith("/*"):
            yield from (path.relative_to(ROOT).as_posix() for path in sorted((ROOT / entry[:-2]).glob("*.md")))
        else:
            yield entry


def _leaves(nav: list[Any]) -> Iterator[str]:
    for entry in nav:
        if isinstance(entry, dict):
            (part,) = entry.values()
            yield from _leaves(part if isinstance(part, list) else [part])
        else:
            yield entry
