"""Install the locked requirements into .venv once: python tools/install.py run|dev...

A stamp file in .venv records what is installed, so that the next start needs neither pip nor a
network. Only wheels are installed, so no compiler is needed.
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
PIP = (
    *("-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"),
    "--no-compile",  # Python compiles what it imports, which is a small part of all modules.
)
# The lock files are complete, and some dependencies are left out on purpose.
LOCKED = ("--only-binary", ":all:", "--no-deps")


def main(parts: list[str]) -> None:
    with (ROOT / ".install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Two installations at once would overwrite each other.
        for part in parts:
            install(part)


def install(part: str) -> None:
    stamp = VENV / f"installed-{part}"
    if stamp.exists() and stamp.read_text() == compute_fingerprint(part) and venv_works():
        return
    started = time.monotonic()
    if UNFINISHED.exists() or not venv_works():
        make_venv()
    UNFINISHED.touch()  # After an interruption, start again: a package may be incomplete.
    say(f"Installing {' and '.join(FILES[part])} into .venv (once) ...")
    run_pip([argument for name in FILES[part] for argument in ("-r", name)])
    stamp.write_text(compute_fingerprint(part))
    UNFINISHED.unlink()
    say(f"Installed in {time.monotonic() - started:.0f} s.")


def compute_fingerprint(part: str) -> str:
    """Return a text that changes with the lock files, the Python version and the path of .venv."""
    locked = b"".join((ROOT / name).read_bytes() for name in FILES[part])
    return f"{hashlib.sha256(locked).hexdigest()} {VENV} {sys.version_info[:2]}\n"


def venv_works() -> bool:
    python = VENV / "bin" / "python"
    show = "import sys; print(sys.version_info[:2])"
    try:
        process = subprocess.run([python, "-c", show], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return process.stdout.strip() == str(sys.version_info[:2])


def make_venv() -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        sys.exit(
            "This Python cannot make virtual environments: install the package"
            f" python{version}-venv."
        )
    say(f"Making .venv with Python {version} ...")
    shutil.rmtree(VENV, ignore_errors=True)
    if subprocess.run([sys.executable, "-m", "venv", VENV], check=False).returncode:
        sys.exit(f"{VENV} could not be made (see above).")


def run_pip(arguments: list[str]) -> None:
    """Run pip; show only what is downloaded, and the errors if it fails."""
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
            "Not everything could be installed (see above): is there a network? The next try"
            " continues from here."
        )


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 – a command-line program


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit("Interrupted; the next try continues from here.")
    except OSError as error:
        sys.exit(f"{error.filename or ROOT}: {error.strerror}.")
