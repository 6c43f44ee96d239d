"""What has to be there before the chaos begins: a small disk, and a clock that can be moved."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp

DISK_BYTES = "1500m"
GUNICORN = ("-m", "gunicorn", "-c", "bench/chaos/clocked_gunicorn.py", "smartspec.wsgi")
# What this program needs and the processes that it starts do not: they get an environment each.
OURS = ("CHAOS_DISK", "PROGRAMS")
# Runs the program again where only it sees the mount, which ends with it.
_MOUNT = f'mount -t tmpfs -o size={DISK_BYTES} tmpfs "$CHAOS_DISK" && exec "$@"'


def enter_small_disk() -> None:
    """Start this program again with a small disk for temporary files, if root may mount one.

    What settlements wait in is kept on the usual disk. Returns if there can be no such disk.
    """
    if "CHAOS_DISK" in os.environ or os.geteuid() or not _can_mount():
        return
    disk, spool = mkdtemp(prefix="smartspec-disk-"), mkdtemp(prefix="smartspec-spool-")
    os.environ |= {"CHAOS_DISK": disk, "TMPDIR": disk, "SPOOL_DIR": spool}
    program = [sys.executable, "-m", "bench.chaos", *sys.argv[1:]]
    code = subprocess.run(
        ["unshare", "--mount", "sh", "-c", _MOUNT, "sh", *program], check=False
    ).returncode
    for folder in (disk, spool):
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)


def _can_mount() -> bool:
    probe = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(probe, capture_output=True, check=False).returncode == 0
    )


class MovedClock:
    """The wall clock of the web workers (bench/chaos/clocked_gunicorn.py)."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "clock"
        self.move(0)

    @property
    def environment(self) -> Mapping[str, str]:
        return {"CHAOS_CLOCK": str(self.file)}

    def move(self, seconds: int) -> None:
        """Let the clock be so many seconds ahead; negative if behind."""
        self.file.write_text(str(seconds))
