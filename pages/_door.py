"""Who enters a server that other machines can reach: whoever has come by a link with its token once, and has a cookie since.

A server that only this machine reaches has no door. What one does not protect yet: docs/decisions/doors.md.
"""

import hashlib
import hmac
import html
import ipaddress
import os
import secrets
import socket
from collections.abc import Iterator
from urllib.parse import parse_qsl, quote, urlencode

import psutil
import streamlit as st
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from core.errors import InputError

VARIABLE = "TRAINSCOPE_TOKEN"
EVERYWHERE = ("0.0.0.0", "::")
# A browser holds a strict cookie back where a link on another site led here; asked for from here, the page comes with it.
AGAIN = "if(!(Date.now()-sessionStorage.asked<5000)){sessionStorage.asked=Date.now();location.replace(location.href)}"
CLOSED = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Trainscope</title><script>{AGAIN}</script>
<body style="font-family:sans-serif;margin:4rem auto;max-width:40rem"><h1>Trainscope</h1><p>%s</p></body></html>"""
NO_TOKEN = "This server is opened by a link with its token. Ask whoever started it for the link: it is printed at the start."
OTHER_TOKEN = "The link has another token than this server. A token is made anew at each start; ask for the link of this one."


def is_of_this_machine(address: str) -> bool:
    """Whether only this machine can reach a server at this address, or this end of a connection."""
    try:
        return ipaddress.ip_address(address.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return address.lower() == "localhost"


def is_open() -> bool:
    """Whether other machines can reach this server. Streamlit without an address listens everywhere."""
    return not is_of_this_machine(st.get_option("server.address") or EVERYWHERE[0])


def token_of_this_server() -> str:
    """What TRAINSCOPE_TOKEN says, or a new one. Raises InputError where that says that an open server is to have none."""
    given = os.environ.get(VARIABLE, "off")
    if given.strip() and given != "off":
        return given
    if given == "off" or not is_open():
        return secrets.token_urlsafe(24)
    raise InputError(
        f"The server was to listen at {st.get_option('server.address') or 'every address'}, where others can reach it, "
        f"with an empty {VARIABLE}.",
        code="token",
        hint=f"Leave {VARIABLE} out and a token is made, or set it to one of your own.",
    )


def links(token: str) -> Iterator[str]:
    """The addresses at which this server is entered."""
    address = st.get_option("server.address") or EVERYWHERE[0]
    scheme = "https" if st.get_option("server.sslCertFile") else "http"
    path = f"{st.get_option('server.baseUrlPath').strip('/')}/".removeprefix("/")
    for host in _own_addresses() if address in EVERYWHERE else [f"[{address}]" if ":" in address else address]:
        yield f"{scheme}://{host}:{st.get_option('server.port')}/{path}" + (f"?token={quote(token, safe='')}" if token else "")


def _own_addresses() -> list[str]:
    """Those of IPv4 that other machines see, else this machine's name: looked up here, nobody else is asked."""
    of_cards = (card.address for cards in psutil.net_if_addrs().values() for card in cards if card.family == socket.AF_INET)
    return [address for address in of_cards if not is_of_this_machine(address)] or [socket.gethostname()]


def greeting(token: str) -> str:
    """What the terminal says once the server is up."""
    if not is_open():
        return f"Trainscope is at http://localhost:{st.get_option('server.port')}. Ctrl-C ends it."
    is_given = os.environ.get(VARIABLE, "off") != "off"
    where = (
        "\n".join(f"  {link}" for link in links(f"<{VARIABLE}>" if is_given else token)).replace("%3C", "<").replace("%3E", ">")
    )
    return f"Trainscope can be reached from other machines. Whoever has this link can do all that you can:\n{where}"


class Door:
    """Answers 401 to every request and every socket without the token, where those of other machines arrive."""

    def __init__(self, app: ASGIApp, token: str, is_open: bool) -> None:
        self.app, self.token, self.is_open = app, token, is_open
        self.pass_ = hashlib.sha256(f"trainscope {token}".encode()).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or not self._is_guarded(scope):
            return await self.app(scope, receive, send)
        asked = HTTPConnection(scope)
        is_in = _same(asked.cookies.get(self._cookie(), ""), self.pass_)
        given = asked.query_params.get("token") if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") else None
        if given is not None and (is_in or _same(given, self.token)):
            return await self._entered(asked)(scope, receive, send)
        if is_in:
            return await self.app(scope, receive, send)
        await _closed(NO_TOKEN if given is None else OTHER_TOKEN)(scope, receive, send)

    def _is_guarded(self, scope: Scope) -> bool:
        """Where the server was started in another way than by Streamlit, the connection tells by which address it came."""
        here = scope.get("server")
        return self.is_open or not (here and is_of_this_machine(here[0]))

    def _entered(self, asked: HTTPConnection) -> Response:
        """To the same page without the token, which stays in no history and is sent to nobody by mistake."""
        rest = [(name, value) for name, value in parse_qsl(asked.url.query, keep_blank_values=True) if name != "token"]
        # one slash: //host would be another server
        to = "/" + asked.url.path.lstrip("/\\")
        answer = RedirectResponse(f"{to}?{urlencode(rest)}" if rest else to, status_code=303)
        answer.set_cookie(
            self._cookie(), self.pass_, httponly=True, samesite="strict", secure=asked.url.scheme == "https", path="/"
        )
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def _cookie(self) -> str:
        """Browsers share cookies between the ports of a machine, each of which may be another server."""
        return f"trainscope-{st.get_option('server.port')}"


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _closed(sentence: str) -> Response:
    return HTMLResponse(CLOSED % html.escape(sentence), status_code=401, headers={"Cache-Control": "no-store"})
