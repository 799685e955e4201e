"""This machine: versions, and proxies that stand between it and the server.

Owns: checks that send nothing. Refuses to know: the server.
"""

from __future__ import annotations

import platform
import sys
import urllib.request
from importlib import metadata
from urllib.parse import urlsplit

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from langchain_mix._version import __version__
from langchain_mix.cli.doctor.findings import Finding

_SHOWN = ("langchain-core", "langgraph", "httpx", "pydantic")


def check_versions() -> list[Finding]:
    """Compares what is installed with what this package needs.

    Returns:
        A finding for Python and this package, and one for each package that matters to it.
    """
    own = f"langchain-mix {__version__} on Python {platform.python_version()} ({sys.platform})"
    findings = [Finding("versions", "ok", own)]
    needs = _needs()
    return findings + [_version_of(name, needs.get(name, SpecifierSet())) for name in _SHOWN]


def _needs() -> dict[str, SpecifierSet]:
    try:
        lines = metadata.requires("langchain-mix") or []
    except metadata.PackageNotFoundError:  # Run from a source tree that is not installed.
        return {}
    wanted = [Requirement(line) for line in lines]
    return {r.name: r.specifier for r in wanted if r.marker is None}


def _version_of(name: str, needed: SpecifierSet) -> Finding:
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding("versions", "problem", f"{name} is not installed.", f"pip install '{name}{needed}'")
    if not needed.contains(installed, prereleases=True):
        return Finding(
            "versions", "problem", f"{name} {installed} is not in the range {needed}.", f"pip install '{name}{needed}'"
        )
    return Finding("versions", "ok", f"{name} {installed}")


def check_proxies(server_url: str) -> Finding:
    """Tells whether requests to the server go through a proxy that the environment names.

    Args:
        server_url: The server's base URL.

    Returns:
        The finding; the proxy's host, never its credentials.
    """
    target = urlsplit(server_url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(target.scheme) or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(target.hostname or ""):
        return Finding("proxy", "ok", "No proxy is set for this server.")
    host = urlsplit(proxy if "//" in proxy else f"//{proxy}").hostname or "a proxy"
    return Finding(
        "proxy",
        "note",
        f"The environment sends requests through {host}.",
        f"If that is not wanted, add {target.hostname} to NO_PROXY.",
    )
