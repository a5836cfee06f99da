"""Who is answered, and what every answer carries."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from pages._guard import guard


@pytest.fixture
def client() -> TestClient:
    routes = [Route("/", lambda request: PlainTextResponse("here"))]
    return TestClient(Starlette(routes=routes, middleware=guard("token")), base_url="http://localhost")


@pytest.mark.parametrize("path", ["/", "/nowhere"])
def test_no_site_frames_the_app_and_nothing_is_fetched_from_elsewhere(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["frame-ancestors"] == policy["frame-src"] == "'self'"
    assert policy["default-src"] == "'self'"
    assert not [source for sources in policy.values() for source in sources.split() if source.startswith(("http", "*", "//"))]
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(("host", "status"), [("localhost:8501", 200), ("127.0.0.1:9", 200), ("evil.example", 400), ("", 400)])
def test_only_the_server_s_own_names_are_answered(client: TestClient, host: str, status: int) -> None:
    assert client.get("/", headers={"Host": host}).status_code == status
