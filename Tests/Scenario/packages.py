"""Makes the PyPI packages of Tests/.venv importable, which scripts/deps.sh installs there. Import this before them."""

import pathlib
import sys

_LIBRARY = pathlib.Path(__file__).resolve().parent.parent / ".venv/lib"
_FOLDER = _LIBRARY / f"python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
if not _FOLDER.is_dir():
    raise ImportError(f"{_FOLDER} is missing: run scripts/deps.sh all")
sys.path.insert(1, str(_FOLDER))
