"""A device that behaves as the desktop application: JSON, no client id, a fixed poll interval."""

import time
from typing import Any

import requests

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Device:
    def __init__(self, site: str) -> None:
        self.site = site
        self.code: dict[str, Any] = {}
        self.tokens: dict[str, Any] = {}

    def post(self, path: str, **body: Any) -> requests.Response:
        return requests.post(self.site + path, json=body, timeout=30)

    def ask_for_code(self) -> dict[str, Any]:
        self.code = self.post("/api/auth/device/code", scopes=["llm:chat", "mcp:read"]).json()
        return self.code

    def poll(self) -> requests.Response:
        return self.post(
            "/api/auth/device/token", grant_type=GRANT, device_code=self.code["device_code"]
        )

    def poll_until_answered(self) -> dict[str, Any]:
        """Poll at the interval of the code, at most ten times; return the tokens."""
        for _ in range(10):
            response = self.poll()
            if response.status_code == 200:
                self.tokens = response.json()
                return self.tokens
            assert response.json()["error"] in ("authorization_pending", "slow_down"), response.text
            time.sleep(self.code["interval"])
        raise AssertionError("never approved")

    def refresh(self) -> requests.Response:
        return self.post(
            "/api/auth/device/token",
            grant_type="refresh_token",
            refresh_token=self.tokens["refresh_token"],
        )

    def get(self, path: str) -> Any:
        return requests.get(self.site + path, headers=self.headers, timeout=30).json()

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}
