# SPDX-License-Identifier: Apache-2.0
"""Who may use the page: on which address it is served, and which requests are answered.

Any website that a person visits can send requests to addresses of that person's network, and give its own
name an address there (DNS rebinding). So a request's Host has to be an address or a name of this computer,
and a websocket's Origin has to be the page itself.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

#: Minimum length of a token, characters.
MIN_TOKEN = 16


class AccessError(ValueError):
    """The page cannot be served like this; the message names the parameter and the remedy."""


@dataclass(frozen=True)
class Access:
    """Hold the address of the page, and its token.

    Attributes:
        host: address or name on which to listen.
        port: TCP port; 0: any free one.
        token: required unless empty.

    Raises:
        AccessError: A token is missing or too short, or a value cannot be used.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str = ""

    def __post_init__(self) -> None:
        if not self.host:
            raise AccessError("host is empty; expected an address, as 127.0.0.1 or 0.0.0.0")
        if not 0 <= self.port <= 65535:
            raise AccessError(f"port is {self.port}; expected 0 to 65535")
        if self.token and (len(self.token) < MIN_TOKEN or not self.token.isascii()):
            raise AccessError(f"token has {len(self.token)} characters; expected {MIN_TOKEN} or more, ASCII")
        if not self.token and not is_loopback(self.host):
            raise AccessError(
                f"host is {self.host}, which other computers reach; expected a token with it, as "
                "-p token:=$(openssl rand -hex 16), or the default host 127.0.0.1"
            )

    def accepts_token(self, given: str) -> bool:
        """Return whether a token is the right one; takes the same time for every wrong one."""
        return not self.token or hmac.compare_digest(given.encode(), self.token.encode())

    def accepts_host(self, header: str) -> bool:
        """Return whether a request's Host names this computer: by an address, or by one of its names."""
        name = _hostname(f"//{header}")
        if not name:
            return False
        if name == "localhost" or name == self.host.lower():
            return True
        if _address(name) is not None:
            return not is_loopback(self.host) or is_loopback(name)
        own = socket.gethostname().lower()
        return not is_loopback(self.host) and name in (own, own.split(".")[0], f"{own.split('.')[0]}.local")

    @staticmethod
    def accepts_origin(origin: str, host: str) -> bool:
        """Return whether a websocket was opened by the page itself.

        Args:
            origin: the header Origin, which every browser sends with a websocket.
            host: the header Host.
        """
        parts = urlsplit(origin)
        return parts.scheme in ("http", "https") and bool(host) and parts.netloc.lower() == host.lower()


def is_loopback(host: str) -> bool:
    """Return whether only this computer reaches an address."""
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def response_headers(html: str) -> dict[str, str]:
    """Return response headers that allow the page's own style and script, and no others."""
    hashes = {
        kind: " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
            for text in re.findall(rf"<{kind}>(.*?)</{kind}>", html, re.DOTALL)
        )
        for kind in ("script", "style")
    }
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; script-src {hashes['script']}; style-src {hashes['style']}; "
            "img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _hostname(url: str) -> str:
    """Return the host of a URL without its port, in small letters; empty if there is none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
