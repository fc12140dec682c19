"""Where a judge may be: an address that a stranger gives is checked before anything is sent to it.

A page that others can open would otherwise fetch any address of its own network for whoever asks (server-side request
forgery). Only the host's resolved addresses count, in whatever spelling it was written; the connection then goes to
exactly these (see `transport`). The operator's own endpoint, from the environment, is never in question.
"""

import asyncio
import ipaddress
import os
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpx2

from milr_core.errors import InputError

PUBLIC = "https://api.openai.com/v1"
LONGEST = 2000  # characters of an address
URLS, HOSTS = "MILR_JUDGE_URLS", "MILR_JUDGE_HOSTS"
_INTERNET = ipaddress.ip_network(
    "2000::/3"
)  # all that is routed in IPv6; what embeds IPv4 lies elsewhere, but for 6to4
_SERVICES = tuple(map(ipaddress.ip_network, ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24")))
"""Public in form, and answered by a cloud's own machines, or by relays."""

_HOST = re.compile(r"[\w.:-]+")


@dataclass(frozen=True)
class Policy:
    """Which endpoints are taken from options, as opposed to the environment.

    urls: whether any is. public_only: whether its host has to be on the public internet. hosts: if there are any, only
    these are taken, and without a further check: "judge.example", "10.0.0.5:8000", "*.example".
    """

    urls: bool = True
    public_only: bool = False
    hosts: tuple[str, ...] = ()

    @classmethod
    def of_environment(cls, public_only: bool = False) -> "Policy":
        """What the operator says: MILR_JUDGE_URLS is any, public or off, MILR_JUDGE_HOSTS a list with commas.

        public_only: where MILR_JUDGE_URLS says nothing; a page that others can open gives True.

        Raises:
            InputError: MILR_JUDGE_URLS is anything else.
        """
        said = os.environ.get(URLS, "").strip().lower()
        if said not in ("", "any", "public", "off"):
            raise InputError(f"{URLS} is any, public or off; got '{said}'.")
        hosts = tuple(host for host in re.split(r"[,\s]+", os.environ.get(HOSTS, "").lower()) if host)
        return cls(said != "off", public_only if not said else said == "public", hosts)

    def pinned(self, url: str) -> bool:
        """Whether the connection to an endpoint has to go to an address that was checked."""
        return self.public_only and not self.hosts and url != home()


def home() -> str:
    """The operator's own endpoint."""
    return os.environ.get("OPENAI_BASE_URL") or PUBLIC


def check_endpoint(url: str, policy: Policy) -> None:
    """Whether a judge may be asked at this base URL; nothing is sent there, but its name is resolved.

    Raises:
        InputError: no address, or one that the policy does not allow; what it resolves to is not said.
    """
    try:
        address = httpx2.URL(url if len(url) <= LONGEST else "")
    except (httpx2.InvalidURL, TypeError, ValueError):
        address = httpx2.URL("")
    named = _HOST.fullmatch(address.host) and 0 < (address.port or 1) < 1 << 16
    if address.scheme not in ("http", "https") or not named:
        raise InputError("The judge's base URL begins with http:// or https:// and names a host.")
    if address.userinfo:
        raise InputError("The judge's base URL holds a password: give it as the key instead.")
    if url == home():
        return
    if not policy.urls:
        raise InputError(f"This page asks no other judge than its own: leave the base URL empty ({URLS} is off).")
    if policy.hosts:
        if not any(_matches(address, host) for host in policy.hosts):
            raise InputError(f"This page asks judges at {', '.join(policy.hosts)} only ({HOSTS}).")
    elif policy.public_only:
        try:
            found = socket.getaddrinfo(address.host, address.port or 443, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            found = []
        checked(found, address.host)


def _matches(address: httpx2.URL, allowed: str) -> bool:
    name, port = address.host.lower(), address.port
    host, colon, wanted = allowed.rpartition(":") if not allowed.endswith("]") and ":" in allowed else (allowed, "", "")
    if colon and wanted != str(port or {"http": 80, "https": 443}[address.scheme]):
        return False
    host = host.strip("[]")
    return name.endswith(host[1:]) if host.startswith("*.") else name == host


def is_public(address: str) -> bool:
    """Whether an IP address is a machine's on the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and (ip not in _INTERNET or ip.sixtofour or ip.teredo):
        return False
    return (
        ip.is_global and not ip.is_multicast and not ip.is_reserved and not any(ip in network for network in _SERVICES)
    )


def checked(found: Iterable[Any], host: str) -> list[str]:
    """The addresses of `getaddrinfo`'s entries, if there are any and all of them are public.

    Raises:
        InputError: otherwise; the same words in both cases, so that internal names cannot be told from none.
    """
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses or not all(is_public(address) for address in addresses):
        raise InputError(f"The judge's base URL is not on the public internet: this page does not ask '{host[:80]}'.")
    return addresses


async def public_addresses(host: str, port: int) -> list[str]:
    """The host's addresses, all public. Raises InputError otherwise."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        found = []
    return checked(found, host)
