"""The way to a server: this machine's certificates, and the proxy it is told of."""

import ssl
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from reconcile.errors import Unreachable
from reconcile.live.exchange import bounded
from reconcile.source.mask import remember

_PORTS = {"http": 80, "https": 443}


def network(url: str, connections: int) -> httpx.BaseTransport:
    """Return the transport that leads to a URL. Raises Unreachable where none does."""
    limits = httpx.Limits(
        max_connections=connections, max_keepalive_connections=connections
    )
    name, proxy = proxy_of(url)
    try:
        _require_host(proxy)
        return bounded(
            httpx.HTTPTransport(limits=limits, verify=_trust(url), proxy=proxy)
        )
    except OSError as error:
        raise Unreachable(
            f"the certificates of this machine cannot be read: {error}",
            "SSL_CERT_FILE must name a file with certificates, SSL_CERT_DIR a folder",
        ) from None
    except ImportError:
        raise Unreachable(
            f"{name} names a SOCKS proxy, and this Python has no package for those",
            "install it beside reconcile: pip install 'httpx[socks]'",
        ) from None
    except (ValueError, httpx.InvalidURL):
        raise Unreachable(
            f"what {name} holds is not the URL of a proxy",
            "it looks like http://proxy.example.com:3128",
        ) from None


def _require_host(proxy: str | None) -> None:
    """Raise ValueError for a proxy without a host, which httpx takes."""
    if proxy and (not urlsplit(proxy).hostname or " " in proxy):
        raise ValueError


def _trust(url: str) -> ssl.SSLContext | bool:
    """Return how certificates are checked; reading the authorities takes its time.

    Without TLS there is nothing to check: a context that trusts nobody will do.
    """
    if url.startswith("https:"):
        return True
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def proxy_of(url: str) -> tuple[str, str | None]:
    """Return the variable that names a proxy for a URL, and the proxy; None for none.

    httpx heeds HTTPS_PROXY and its like only when it makes the transport itself.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    if _direct(parts, proxies.get("no", "")):
        return "", None
    for scheme in (parts.scheme, "all"):
        if proxy := proxies.get(scheme):
            _remember_password(proxy)
            with_scheme = proxy if "://" in proxy else f"http://{proxy}"
            return f"{scheme.upper()}_PROXY", with_scheme
    return "", None


def _remember_password(proxy: str) -> None:
    """Keep what stands before the `@` of a proxy from all output, URL or not."""
    login = proxy.rpartition("@")[0].rpartition("//")[2]
    for part in (login, login.partition(":")[2]):
        remember(part)
        remember(unquote(part))


def _direct(parts: SplitResult, exceptions: str) -> bool:
    """Tell whether NO_PROXY names a server: its host, with its port, or its network."""
    host = parts.hostname or ""
    port = parts.port or _PORTS.get(parts.scheme, 0)
    if proxy_bypass(host) or proxy_bypass(f"{host}:{port}"):
        return True
    return any(_within(host, port, item.strip()) for item in exceptions.split(","))


def _within(host: str, port: int, item: str) -> bool:
    """Tell whether an address is in what NO_PROXY names: `10.0.0.0/8`, `[::1]:443`."""
    bracketed = item.removeprefix("[").removesuffix(f"]:{port}").removesuffix("]")
    try:
        return ip_address(host) in ip_network(bracketed, strict=False)
    except ValueError:  # one of the two is a name
        return False
