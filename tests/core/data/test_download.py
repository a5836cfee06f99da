"""Downloads from a server on this machine: checked, whole or not there, and a clear word where there is no network."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core.data.sources.download import fetch, has_checksum
from core.data.store.image_store import no_progress
from core.errors import InputError

CONTENT = bytes(range(256)) * 4000  # 1 MB: several pieces
MD5 = hashlib.md5(CONTENT).hexdigest()
NO_SERVER = "http://127.0.0.1:9/none"  # the discard port, which nobody serves


class Answers(BaseHTTPRequestHandler):
    """/whole, /forged, /cut (fewer bytes than announced), and 404 for the rest."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.path)
        content = {"/whole": CONTENT, "/forged": CONTENT[:-1] + b"!", "/cut": CONTENT[:500_000]}.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path) -> Path:
    Answers.asked.clear()
    return tmp_path / "set" / "raw" / "pictures.gz"


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_file_arrives_whole_and_its_progress_is_told(server, target):
    told = []
    fetch([f"{server}/whole"], target, MD5, "Images", lambda *facts: told.append(facts))
    assert target.read_bytes() == CONTENT
    assert files_in(target.parent) == ["pictures.gz"]
    assert told[-1] == ("Downloading Images", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert len(told) > 2


def test_file_that_lies_there_is_not_asked_for_again(server, target):
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    fetch([f"{server}/whole"], target, MD5, "Images", no_progress)
    assert Answers.asked == []


def test_damaged_file_that_lies_there_is_replaced(server, target):
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT[:-1])
    fetch([f"{server}/whole"], target, MD5, "Images", no_progress)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("path", ["/forged", "/cut"])
def test_wrong_content_is_refused_and_leaves_no_file(server, target, path):
    with pytest.raises(InputError, match="checksum differs") as refusal:
        fetch([server + path], target, MD5, "Images", no_progress)
    assert refusal.value.code == "dataset-offline"
    assert files_in(target.parent) == []


def test_next_address_is_tried_when_one_fails(server, target):
    fetch([NO_SERVER, f"{server}/none", f"{server}/forged", f"{server}/whole"], target, MD5, "Images", no_progress)
    assert target.read_bytes() == CONTENT
    assert Answers.asked == ["/none", "/forged", "/whole"]


def test_without_network_the_folder_and_every_file_are_named(target):
    names = ["pictures.gz", "labels.gz", "more.gz"]
    with pytest.raises(InputError) as refusal:
        fetch([NO_SERVER], target, MD5, "Images", no_progress, names)
    message = str(refusal.value)
    assert "Images is not on this machine and can't be downloaded" in message
    assert str(target.parent) in message
    assert all(name in message for name in names)
    assert "digits need none" in message
    assert refusal.value.code == "dataset-offline"
    assert files_in(target.parent) == []


def test_damaged_file_without_network_is_called_damaged_and_left_there(target):
    target.parent.mkdir(parents=True)
    target.write_bytes(b"half of it")
    with pytest.raises(InputError, match="The file that lies there is damaged"):
        fetch([NO_SERVER], target, MD5, "Images", no_progress)
    assert files_in(target.parent) == ["pictures.gz"]


def test_download_that_is_broken_off_leaves_no_file(server, target):
    class Stopped(Exception):
        pass

    def stop(what: str, done: int, total: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        fetch([f"{server}/whole"], target, MD5, "Images", stop)
    assert files_in(target.parent) == []


def test_every_request_has_a_time_out(target, monkeypatch):
    """docs/architecture.md: torchvision's have none."""
    given = []

    def urlopen(url: str, timeout: float | None = None):
        given.append(timeout)
        raise TimeoutError("timed out")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    with pytest.raises(InputError, match="timed out"):
        fetch(["http://127.0.0.1/a", "http://127.0.0.1/b"], target, MD5, "Images", no_progress)
    assert len(given) == 2
    assert all(0 < seconds <= 60 for seconds in given)


def test_checksum_is_of_the_content(tmp_path):
    path = tmp_path / "file"
    assert not has_checksum(path, MD5)
    path.write_bytes(CONTENT)
    assert has_checksum(path, MD5)
    path.write_bytes(CONTENT + b"!")
    assert not has_checksum(path, MD5)
