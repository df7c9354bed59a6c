"""What the pictures of the documentation were made from, so that a test knows when one is out of date."""

from hashlib import blake2b
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

# By picture, the digest that it had when it was drawn.
DIGESTS = DOCS / "pictures.json"

# By picture, the files that decide how it looks.
SOURCES = {
    "status.svg": ("tools/screenshots.py", *(f"fastrun/observers/terminal/{name}.py" for name in ("screen", "status"))),
    "report.png": ("tools/screenshots.py", "examples/scenario.json", "fastrun/observers/files/html/**/*.*"),
}


def digest(picture: str) -> str:
    """Return a digest of the files that decide how a picture looks."""
    paths = {path for pattern in SOURCES[picture] for path in ROOT.glob(pattern) if path.suffix != ".pyc"}
    return blake2b(b"".join(path.read_bytes() for path in sorted(paths)), digest_size=16).hexdigest()
