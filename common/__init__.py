"""What every run needs.

A new terminal knows nothing of your environment, so this says in one line if a package is missing.
Every program therefore imports `common` before it imports a package."""

import importlib.util
import sys

PACKAGES = {"torch": "PyTorch", "numpy": "NumPy", "tiktoken": "tiktoken", "tqdm": "tqdm"}
ACTIVATE = r".venv\Scripts\activate" if sys.platform == "win32" else "source .venv/bin/activate"

for package, title in PACKAGES.items():
    if importlib.util.find_spec(package) is None:
        remedy = f"Activate the environment ({ACTIVATE}) or pip install -r requirements.txt."
        print(f"error: {title} is not installed for this Python ({sys.executable}). {remedy}",
              file=sys.stderr)
        sys.exit(2)
