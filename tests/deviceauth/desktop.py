"""A simulation of the existing desktop application: its requests and its reactions to responses.

It never slows down, recognises an error only by the word "expired", deletes its tokens when a
refresh is refused, and refreshes from every component at start-up.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import requests

TOKEN = "/api/auth/device/token"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
COMPONENTS = 3  # the application, its chat and its terminal
Json = dict[str, Any]
Send = Callable[[str, Json], requests.Response]


class Expired(Exception):
    """A response contains the word "expired", so the application stops polling."""


@dataclass
class Desktop:
    """One installation.

    `keychain` holds the tokens, also over a restart. `wait` sleeps for a number of seconds. `send`
    is `post`, or a function that simulates a broken network.
    """

    site: str
    wait: Callable[[float], None]
    keychain: Json = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    polls: int = 0
    send: Send = field(init=False)

    def __post_init__(self) -> None:
        self.send = self.post

    def post(self, path: str, body: Json) -> requests.Response:
        return requests.post(self.site + path, json=body, timeout=30)

    def log_in(self) -> bool:
        """Log in. Returns False if no tokens came before the countdown ended. Raises Expired."""
        codes = self.send("/api/auth/device/code", {"scopes": ["llm:chat", "mcp:read"]}).json()
        self.opened.append(codes["verification_uri_complete"])
        left = codes["expires_in"]
        while left > 0 and not self.keychain:
            self.wait(codes["interval"])
            left -= codes["interval"]
            self.keychain |= self._poll(codes["device_code"])
        return bool(self.keychain)

    def _poll(self, device_code: str) -> Json:
        """Poll once. Returns the tokens, or an empty dictionary for any other response."""
        self.polls += 1
        try:
            answer = self.send(TOKEN, {"grant_type": DEVICE_CODE, "device_code": device_code})
            body = answer.json()
        except (requests.RequestException, ValueError):
            return {}
        if answer.ok:
            return dict(body)
        text = str(body.get("error_description") or body.get("error"))
        if "expired" in text:
            raise Expired(text)
        return {}

    def refresh(self, token: str | None = None) -> None:
        """Refresh. A response that is not 2xx deletes the tokens; a broken connection does not.

        `token` is the refresh token, if it was read before.
        """
        if not (token := token or self.keychain.get("refresh_token")):
            return
        try:
            answer = self.send(TOKEN, {"grant_type": "refresh_token", "refresh_token": token})
        except requests.RequestException:
            return
        if answer.ok:
            self.keychain |= answer.json()
        else:
            self.keychain.clear()

    def start(self) -> None:
        """Start the application: every component refreshes at once, all with the same token."""
        tokens = [self.keychain.get("refresh_token")] * COMPONENTS
        with ThreadPoolExecutor(COMPONENTS) as components:
            list(components.map(self.refresh, tokens))

    def get(self, path: str) -> Any:
        """Return the JSON of a route, after one refresh if the access token has expired."""
        answer = self._get(path)
        if answer.status_code == 401:
            self.refresh()
            answer = self._get(path)
        answer.raise_for_status()
        return answer.json()

    def _get(self, path: str) -> requests.Response:
        return requests.get(self.site + path, headers=self.authorization, timeout=30)

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keychain.get('access_token', '')}"}
