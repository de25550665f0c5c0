"""Called by the first cell of every lesson. Installs what is missing, makes the models if there are
none, and lets a blank exercise or a failed check end in one line instead of a traceback.

It never replaces the host's torch or numpy. The models are made by `python train_sft.py`.
"""

import importlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "numpy": "numpy",
    "tiktoken": "tiktoken>=0.7,<1",
    "tqdm": "tqdm",
    "matplotlib": "matplotlib",
}


def ready() -> None:
    """Prepare everything that a lesson needs, or exit with one line that says what to do."""
    sys.path[:0] = [str(ROOT), str(ROOT / "lessons")]
    if "IPython" in sys.modules:
        shorten_errors(sys.modules["IPython"].get_ipython())
    if importlib.util.find_spec("torch") is None:
        remedy = f"pip install -r {ROOT / 'requirements.txt'}"
        sys.exit(f"torch is missing in {sys.executable}. Choose another kernel, or: {remedy}")
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        install([PACKAGES[name] for name in missing])
    out = Path(os.environ.get("LESSON_OUT", ROOT / "out"))
    missing = [name for name in ("base.pt", "tuned.pt") if not (out / name).exists()]
    if missing:
        make_models(out, missing)


def shorten_errors(shell) -> None:
    """Show a blank exercise and a failed check as one line."""

    def one_line(shell, error_type, error, traceback, tb_offset=None):
        line = str(error) if error_type is AssertionError else f"Stopped here: {error}."
        print(line, file=sys.stderr)
        return [line]

    if shell:
        shell.set_custom_exc((AssertionError, NotImplementedError), one_line)


def install(requirements: list[str]) -> None:
    """Install packages. The versions of torch and numpy are pinned, so that pip keeps them."""
    print("Installing missing packages:", ", ".join(requirements), flush=True)
    pins = ""
    for name in ("torch", "numpy"):
        if importlib.util.find_spec(name):
            pins += f"{name}=={importlib.metadata.version(name)}\n"
    pip = (sys.executable, "-m", "pip", "install")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pins.txt"
        path.write_text(pins, encoding="utf-8")
        code = run(*pip, "--quiet", "--constraint", path, *requirements)
    if code:
        command = " ".join([*pip, *requirements])
        sys.exit(f"pip could not install {', '.join(requirements)}. Try in a terminal: {command}")
    importlib.invalidate_caches()


def make_models(out: Path, missing: list[str]) -> None:
    """Run the main job, and show its lines. It uses a base again that is there."""
    print(f"No {' and no '.join(missing)} yet. `python train_sft.py` takes some minutes, once.")
    code = run(sys.executable, ROOT / "train_sft.py", "--out", out.resolve())
    if code or not (out / "tuned.pt").exists():
        sys.exit("train_sft.py stopped. Its last line says why; see also docs/TROUBLE.md.")
    print("The models are ready.")


def run(*command) -> int:
    """Run a command and print its output line by line, in the notebook. Returns its exit code."""
    env = os.environ | {"PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}
    env.pop("MPLBACKEND", None)  # a notebook's backend doesn't work in a program
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    with process:
        for line in process.stdout:
            print(line, end="", flush=True)
    return process.returncode
