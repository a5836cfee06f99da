"""A server that other machines can reach answers nobody without its token; one that only this machine reaches asks for none."""

import http.client
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from core.errors import InputError
from core.jobs.executor import PROJECT
from pages._door import Door, is_of_this_machine, is_open, token_of_this_server

OTHER_ADDRESS = "127.0.0.2"  # every machine has it, and no configuration of ours names it
PATHS = ["/", "/runs", "/trainscope/plotly.min.js", "/trainscope/runs/x/run.zip", "/_stcore/health", "/_stcore/host-config"]


@dataclass
class Opened:
    """A real server at every address. link: as it was printed."""

    process: subprocess.Popen
    port: int
    link: str

    @property
    def token(self) -> str:
        return self.link.partition("token=")[2]

    def get(self, path: str, cookie: str = "", method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(OTHER_ADDRESS, self.port, timeout=20)
        connection.request(method, path, headers={**headers, **({"Cookie": cookie} if cookie else {})})
        return connection.getresponse()

    def enter(self) -> str:
        """The cookie that the link gives."""
        answer = self.get(f"/?token={self.token}")
        return answer.headers["Set-Cookie"].partition(";")[0]


def start(home: Path, *options: str, token: str | None = None) -> subprocess.Popen:
    environment = {name: value for name, value in os.environ.items() if name != "TRAINSCOPE_TOKEN"}
    environment |= {"TRAINSCOPE_HOME": str(home), "TRAINSCOPE_RESERVE": "0"}
    if token is not None:
        environment["TRAINSCOPE_TOKEN"] = token
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", *options]
    return subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    port = free_port()
    process = start(tmp_path_factory.mktemp("home"), "--server.address", "0.0.0.0", "--server.port", str(port))
    assert process.stdout
    said = []
    for line in process.stdout:
        said.append(line)
        if "?token=" in line:
            break
    assert "token=" in said[-1], said
    yield Opened(process, port, said[-1].strip())
    process.terminate()
    process.communicate(timeout=30)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["", "localhost"])
def test_nobody_without_the_token_is_answered(opened: Opened, path: str, host: str) -> None:
    answer = opened.get(path, **({"Host": host} if host else {}))
    assert answer.status == 401
    page = answer.read().decode()
    assert "opened by a link with its token" in page
    assert opened.token not in page
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"


def test_upload_and_change_without_the_token_are_not_answered(opened: Opened) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert opened.get(f"/_stcore/upload_file/x/y?token={opened.token}", method=method).status == 401


def test_link_lets_in_once_and_the_cookie_from_then_on(opened: Opened) -> None:
    answer = opened.get(f"/runs?set=a%20b&token={opened.token}")
    assert (answer.status, answer.headers["Location"]) == (303, "/runs?set=a+b")
    cookie = answer.headers["Set-Cookie"]
    assert re.search(r"; HttpOnly; Path=/; SameSite=strict$", cookie)
    assert opened.token not in cookie
    for path in ("/", "/runs", "/trainscope/plotly.min.js", "/_stcore/health"):
        assert opened.get(path, cookie.partition(";")[0]).status == 200


@pytest.mark.parametrize("host", ["box.local:8501", "192.0.2.7", "localhost"])
def test_whoever_has_entered_may_call_the_server_by_any_of_its_names(opened: Opened, host: str) -> None:
    assert opened.get("/", opened.enter(), Host=host).status == 200


def test_link_leads_to_no_other_server(opened: Opened) -> None:
    for path in ("//evil.example/", "/\\evil.example/"):
        location = opened.get(f"{path}?token={opened.token}").headers["Location"]
        assert not location.startswith(("//", "/\\", "http"))


@pytest.mark.parametrize("token", ["", "x", "é"])
def test_other_token_lets_nobody_in(opened: Opened, token: str) -> None:
    answer = opened.get(f"/?token={token.encode().hex() if token == 'é' else token}")
    assert answer.status == 401
    assert answer.headers["Set-Cookie"] is None
    assert "another token" in answer.read().decode()
    assert opened.get("/", f"trainscope-{opened.port}={token.encode('latin-1').hex()}").status == 401


def test_socket_of_the_pages_is_behind_the_door_too(opened: Opened) -> None:
    address = f"ws://{OTHER_ADDRESS}:{opened.port}/_stcore/stream"
    for query in ("", f"?token={opened.token}"):
        with pytest.raises(InvalidStatus) as refused, connect(address + query):
            pass
        assert refused.value.response.status_code == 401
    with connect(address, additional_headers={"Cookie": opened.enter()}) as open_socket:
        assert open_socket.response and open_socket.response.status_code == 101


def test_empty_token_keeps_the_server_from_starting(tmp_path: Path) -> None:
    process = start(tmp_path, "--server.address", "0.0.0.0", "--server.port", str(free_port()), token="")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.strip().startswith("Trainscope was not started. The server was to listen at 0.0.0.0, where others can reach it")
    assert "Traceback" not in said


# Without a server


@pytest.mark.parametrize("address", ["127.0.0.1", "127.3.2.1", "localhost", "LOCALHOST", "::1", "[::1]"])
def test_addresses_of_this_machine_alone(address: str) -> None:
    assert is_of_this_machine(address)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.0.7", "box.local", "fe80::1%eth0", "127.evil.example", ""])
def test_addresses_that_others_reach(address: str) -> None:
    assert not is_of_this_machine(address)


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch):
    def choose(value: str | None) -> None:
        real = st.get_option
        monkeypatch.setattr(st, "get_option", lambda name: value if name == "server.address" else real(name))

    return choose


def test_server_without_an_address_is_open(address) -> None:
    address(None)
    assert is_open()
    address("127.0.0.1")
    assert not is_open()


def test_token_is_the_one_given_or_a_new_one(monkeypatch: pytest.MonkeyPatch, address) -> None:
    monkeypatch.setenv("TRAINSCOPE_TOKEN", "of our own")
    assert token_of_this_server() == "of our own"
    monkeypatch.setenv("TRAINSCOPE_TOKEN", "off")
    made = {token_of_this_server(), token_of_this_server()}
    monkeypatch.delenv("TRAINSCOPE_TOKEN")
    made.add(token_of_this_server())
    assert len(made) == 3
    assert all(len(token) >= 32 for token in made)
    monkeypatch.setenv("TRAINSCOPE_TOKEN", " ")
    assert len(token_of_this_server()) >= 32  # only this machine reaches it: nobody needs it
    address("0.0.0.0")
    with pytest.raises(InputError, match="Leave TRAINSCOPE_TOKEN out"):
        token_of_this_server()


def client(is_open: bool, here: str) -> TestClient:
    """A small app behind the door, reached by an address of the machine it runs on."""

    async def talk(websocket) -> None:
        await websocket.accept()
        await websocket.close()

    routes = [Route("/", lambda request: PlainTextResponse("here")), WebSocketRoute("/talk", talk)]
    return TestClient(Door(Starlette(routes=routes), "the token", is_open), base_url=f"http://{here}", follow_redirects=True)


def test_server_of_this_machine_alone_asks_for_nothing() -> None:
    inside = client(False, "127.0.0.1")
    assert inside.get("/").text == "here"
    with inside.websocket_connect("ws://127.0.0.1/talk"):
        pass


def test_server_that_others_reach_though_no_option_says_so_is_closed() -> None:
    """Such as one started by `uvicorn streamlit_app:app --host 0.0.0.0`."""
    outside = client(False, "192.0.2.7")
    assert outside.get("/").status_code == 401
    with pytest.raises(WebSocketDenialResponse) as refused, outside.websocket_connect("/talk"):
        pass
    assert refused.value.status_code == 401


def test_token_of_our_own_may_have_any_letters() -> None:
    visitor = client(True, "localhost")
    assert visitor.get("/").status_code == 401
    assert visitor.get("/", params={"token": "the token"}).text == "here"
    assert visitor.get("/").text == "here"
