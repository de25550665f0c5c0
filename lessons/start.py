"""What the first cell of every lesson calls once it has found the project: are the packages there, is the base there?

Only what is missing is installed, and the host's torch and numpy are never replaced. The base is made by
`python train_sft.py` if it is not there."""

import importlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"numpy": "numpy", "tiktoken": "tiktoken>=0.7,<1", "tqdm": "tqdm", "matplotlib": "matplotlib"}


def ready():
    """Everything that a lesson needs, or one line that says what to do."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if importlib.util.find_spec("torch") is None:
        sys.exit(f"torch is missing in {sys.executable}. Choose the kernel that has it, or: pip install -r {ROOT / 'requirements.txt'}")
    if missing:
        install([PACKAGES[name] for name in missing])
    base = Path(os.environ.get("LESSON_OUT", ROOT / "out")) / "base.pt"
    if not base.exists():
        make(base)


def install(wanted):
    """With the host's torch and numpy as constraints, so that pip adds and never replaces them."""
    print("Installing what is missing:", ", ".join(wanted), flush=True)
    held = [name for name in ("torch", "numpy") if importlib.util.find_spec(name)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "held.txt"
        path.write_text("".join(f"{name}=={importlib.metadata.version(name)}\n" for name in held), encoding="utf-8")
        done = run(sys.executable, "-m", "pip", "install", "--quiet", "--constraint", path, *wanted)
    if done:
        sys.exit(f"pip could not install {', '.join(wanted)}. Try it in a terminal: {sys.executable} -m pip install {' '.join(wanted)}")
    importlib.invalidate_caches()


def make(base):
    """The main job, whose lines are shown while it runs."""
    print(f"No {base.name} yet: python train_sft.py makes it, once: two to three minutes on two cores.")
    if run(sys.executable, ROOT / "train_sft.py", "--out", base.parent.resolve()) or not base.exists():
        sys.exit("train_sft.py stopped; its last line says why. TROUBLE.md may help.")
    print("The base is ready.")


def run(*command):
    """A command whose output appears in the notebook line by line -> its exit code"""
    env = os.environ | {"PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}
    env.pop("MPLBACKEND", None)  # a notebook's backend is no use to a program
    with subprocess.Popen(
        list(map(str, command)), cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    ) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
    return process.returncode
