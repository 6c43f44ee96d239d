"""Keeps what this process knows of the settings up to date, beside the requests.

A thread asks every REFRESH_SECONDS, whether or not there are requests. So no request waits for it,
and a change is in effect on all workers before SECONDS_TO_EFFECT have passed
(docs/decisions/0059-settings-reach-the-hot-path-by-a-thread.md).
"""

import logging
import threading
import time

from django.db import Error, connection

from accounts.operation import current

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 2.0
SECONDS_TO_EFFECT = 5.0
FIRST_SECONDS = 2.0  # for which a worker that starts waits for the first answer


class Watcher:
    """Asks for the settings again and again. While the database is away, the last ones stay."""

    def __init__(self) -> None:
        self._has_asked = threading.Event()
        self._is_away = False

    def begin(self) -> None:
        """Start to ask, and wait FIRST_SECONDS at most for the first answer."""
        threading.Thread(target=self._run, name="settings", daemon=True).start()
        self._has_asked.wait(FIRST_SECONDS)

    def _run(self) -> None:
        while True:
            self.ask()
            self._has_asked.set()
            time.sleep(REFRESH_SECONDS)

    def ask(self) -> None:
        """Take over what is set now. A failure is logged once, until the next success."""
        try:
            current.refresh()
            self._is_away = False
        except Error as error:
            if not self._is_away:
                logger.warning("the settings stay as they are: %r", error)
            self._is_away = True
        except Exception:  # a thread that ends would leave the settings as they are for ever
            logger.exception("the settings cannot be read")
        finally:
            if not connection.in_atomic_block:
                connection.close()


def begin() -> None:
    """Follow the settings in this process. gunicorn.conf.py calls this in each worker."""
    Watcher().begin()
