"""The network answers over HTTP: python serve.py [--host ADDRESS] [--port NUMBER]

    curl --data-binary @image.jpg http://127.0.0.1:8000

answers with JSON: all classes with their probabilities, and whether it is sure. Python's own http.server: for scripts of yours, not
for the open internet.
"""

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from predict import Predictor
from preprocessing import InputError

MOST_BYTES = 100_000_000
TIMEOUT_S = 30


class Handler(BaseHTTPRequestHandler):
    predictor: Predictor
    timeout = TIMEOUT_S

    def do_GET(self) -> None:
        self._answer(200, {"classes": self.predictor.class_names, "how": "POST the bytes of one image"})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or not 0 < int(length) <= MOST_BYTES:
            self.close_connection = True
            self._answer(413, {"error": f"Send the bytes of one image, at most {MOST_BYTES:,}, with their Content-Length."})
            return
        try:
            answer = self.predictor(self.rfile.read(int(length)))
        except InputError as error:
            self._answer(400, {"error": error.message})
            return
        self._answer(200, answer)

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    parser = argparse.ArgumentParser(description="The network answers over HTTP.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    Handler.predictor = Predictor()
    server = ThreadingHTTPServer((options.host, options.port), Handler)
    print(f"http://{options.host}:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
