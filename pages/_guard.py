"""Who is answered, and what every answer tells the browser: no other site frames the app, asks it in its own name or is asked by it."""

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.config import set_option

from pages._door import Door, is_open

# Streamlit's own pages need inline scripts and styles, and components come as blobs; nothing is fetched from elsewhere.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "frame-src 'self'; frame-ancestors 'self'; object-src 'none'; base-uri 'self'; form-action 'self'"
)
OWN_NAMES = {"localhost", "127.0.0.1"}  # as .streamlit/config.toml has them
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class SafeHeaders:
    """Puts the headers on every HTTP answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await self.app(scope, receive, sending if scope["type"] == "http" else send)


def guard(token: str) -> list[Middleware]:
    """The same hosts on every route as Streamlit lets through on its socket.

    Behind a door these may be any, since a machine has many names: a page that calls us by a name of its own holds no cookie for it.
    """
    if is_open() and set(st.get_option("server.allowedHosts")) == OWN_NAMES:  # nobody has chosen others
        set_option("server.allowedHosts", [])
    hosts = st.get_option("server.allowedHosts") or ["*"]
    return [
        Middleware(SafeHeaders),
        Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
        Middleware(Door, token=token, is_open=is_open()),
    ]
