"""Installs the locked requirements into .venv, once: python tools/install.py run|dev...

A stamp in .venv says what is installed, so that the next start needs neither pip
nor a network. Only ready-made packages are taken: no compiler is ever needed.
"""

import fcntl
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
UNFINISHED = VENV / "unfinished"
FILES = {
    "run": ("requirements.txt", "requirements-local.txt"),
    "dev": ("requirements-dev.txt",),
}
PIP = ("-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off")
# The locks are complete, and some dependencies are left out on purpose.
LOCKED = ("--only-binary", ":all:", "--no-deps")


def main(parts: list[str]) -> None:
    with (ROOT / ".install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once would install over each other
        for part in parts:
            install(part)


def install(part: str) -> None:
    stamp = VENV / f"installed-{part}"
    if stamp.exists() and stamp.read_text() == fingerprint(part) and venv_works():
        return
    started = time.monotonic()
    if UNFINISHED.exists() or not venv_works():
        make_venv()
    UNFINISHED.touch()  # a package may be half there: start afresh if this is interrupted
    say(f"Installing {' and '.join(FILES[part])} into .venv (once) ...")
    run_pip([argument for name in FILES[part] for argument in ("-r", name)])
    stamp.write_text(fingerprint(part))
    UNFINISHED.unlink()
    say(f"Installed in {time.monotonic() - started:.0f} s.")


def fingerprint(part: str) -> str:
    """Of the lock, and of the place: a virtual environment cannot be moved."""
    locked = b"".join((ROOT / name).read_bytes() for name in FILES[part])
    return f"{hashlib.sha256(locked).hexdigest()} {VENV} {sys.version_info[:2]}\n"


def venv_works() -> bool:
    python = VENV / "bin" / "python"
    show = "import sys; print(sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-c", show], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return answer.stdout.strip() == str(sys.version_info[:2])


def make_venv() -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        sys.exit(
            f"This Python cannot make virtual environments: install the package python{version}-venv."
        )
    say(f"Making .venv with Python {version} ...")
    shutil.rmtree(VENV, ignore_errors=True)
    if subprocess.run([sys.executable, "-m", "venv", VENV], check=False).returncode:
        sys.exit(f"{VENV} could not be made (see above).")


def run_pip(arguments: list[str]) -> None:
    """Show what is downloaded and hide the rest, unless it goes wrong."""
    command = [str(VENV / "bin" / "python"), *PIP, *LOCKED, *arguments]
    pip = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines = []
    for line in pip.stdout or ():
        lines.append(line)
        if line.strip().startswith(("Downloading", "Using cached", "Installing collected")):
            say(f"  {line.strip():.100}")
    if pip.wait():
        sys.stderr.writelines(line for line in lines[-20:] if line.startswith("ERROR"))
        sys.exit(
            "Not everything could be installed (see above): is there a network? The next try goes on from here."
        )


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is a program


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit("Interrupted; the next try goes on from here.")
    except OSError as error:
        sys.exit(f"{error.filename or ROOT}: {error.strerror}.")
