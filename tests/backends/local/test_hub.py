"""Downloads, from a hub of our own on the loopback.

The hub's client reads its address when it is imported, so each test has a process.
"""

import hashlib
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from gateway.backends.local.hub import hub_name
from tests.support.cross_encoders import tiny

MODEL = "someone/reranker"
REVISION = "0123456789abcdef0123456789abcdef01234567"

FETCH = f"""
import logging, sys
from gateway.backends.local.hub import fetch
from gateway.backends.local.inference import UnusableModel
logging.basicConfig(level=logging.INFO)
try:
    print(fetch("{MODEL}", revision="{REVISION}"))
except UnusableModel as error:
    sys.exit(str(error))
"""

LOAD = """
import sys
from pathlib import Path
from gateway.backends.local.cross_encoder import CrossEncoder
model = CrossEncoder.load(Path(sys.argv[1]), max_tokens=None)
print(model.judge("one", "two three").number)
"""


class Hub:
    """Serves the files of one model in one revision, and counts what it was asked."""

    def __init__(self, url: str, files: dict[str, bytes]) -> None:
        self.url = url
        self.files = files
        self.error: tuple[HTTPStatus, str] | None = None
        """Answered to everything: a status, and what the hub calls it."""
        self.refused = ""
        """A file that nobody may have."""
        self.asked: list[str] = []
        self.downloaded: list[str] = []

    def served(self, path: str) -> tuple[HTTPStatus, dict[str, str], bytes]:
        name = path.partition(f"/{MODEL}/resolve/{REVISION}/")[2]
        if not name:  # what the client wants to know for itself
            return HTTPStatus.NOT_FOUND, {}, b""
        self.asked.append(name)
        headers = {"X-Repo-Commit": REVISION}
        if self.error:
            status, code = self.error
            return status, headers | {"X-Error-Code": code}, b""
        if name == self.refused:
            return HTTPStatus.FORBIDDEN, headers, b""
        if name not in self.files:
            headers["X-Error-Code"] = "EntryNotFound"
            return HTTPStatus.NOT_FOUND, headers, b""
        content = self.files[name]
        headers["ETag"] = f'"{hashlib.sha256(content).hexdigest()}"'
        return HTTPStatus.OK, headers, content


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            status, headers, content = hub.served(self.path)
            if with_body and content:
                hub.downloaded.append(hub.asked[-1])
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if with_body:
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its
            logging.getLogger(__name__).debug(format, *args)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = Hub(f"http://127.0.0.1:{server.server_port}", files)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    """Give a model as it is on the hub, with more than the gateway needs."""
    directory = tmp_path / "model"
    (directory / "onnx").mkdir(parents=True)
    weights = directory / "onnx" / "model.onnx_data"
    tiny(directory, place="onnx/model.onnx", config={}, weights_beside=weights)
    return contents(directory) | {
        "pytorch_model.bin": b"a pickle",
        "modeling.py": b"raise SystemExit",
        "onnx/model_O4.onnx": b"another",
    }


def run(
    program: str, *arguments: str, endpoint: str, home: Path, **more: str
) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), **more}
    return subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", program, *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_is_needed_is_downloaded_once_and_can_be_loaded(
    home: Path, files: dict[str, bytes]
) -> None:
    with serving(files) as hub:
        first = run(FETCH, endpoint=hub.url, home=home)
        assert first.returncode == 0, first.stderr
        assert sorted(hub.downloaded) == [
            "config.json",
            "onnx/model.onnx",
            "onnx/model.onnx_data",
            "tokenizer.json",
        ]
        asked = len(hub.asked)
        second = run(FETCH, endpoint=hub.url, home=home)
        assert len(hub.asked) == asked

    directory = first.stdout.strip()
    assert second.stdout.strip() == directory
    assert Path(directory).is_relative_to(home)
    assert f"downloading {MODEL}@01234567 to {directory}" in first.stderr
    loaded = run(LOAD, directory, endpoint="http://nowhere.invalid", home=home)
    assert loaded.stdout.strip() == "1.0", loaded.stderr


def test_a_graph_at_the_top_is_found(home: Path, tmp_path: Path) -> None:
    with serving(contents(tiny(tmp_path / "model"))) as hub:
        fetched = run(FETCH, endpoint=hub.url, home=home)

    assert (Path(fetched.stdout.strip()) / "model.onnx").is_file(), fetched.stderr


def test_a_download_that_broke_off_goes_on_the_next_time(
    home: Path, files: dict[str, bytes]
) -> None:
    with serving(files) as hub:
        hub.refused = "onnx/model.onnx_data"
        assert run(FETCH, endpoint=hub.url, home=home).returncode == 1
        hub.refused = ""
        fetched = run(FETCH, endpoint=hub.url, home=home)
        assert hub.downloaded.count("onnx/model.onnx") == 1
        assert hub.downloaded.count("onnx/model.onnx_data") == 1

    assert fetched.returncode == 0, fetched.stderr


@pytest.mark.parametrize("missing", ["model.onnx", "tokenizer.json"])
def test_a_model_without_a_file_says_how_to_make_it(
    home: Path, tmp_path: Path, missing: str
) -> None:
    files = contents(tiny(tmp_path / "model"))
    del files[missing]
    with serving(files) as hub:
        fetched = run(FETCH, endpoint=hub.url, home=home)

    assert fetched.returncode == 1
    assert fetched.stderr.splitlines()[-1] == (
        f"{MODEL}@01234567 has no {missing}: export it with `optimum-cli export onnx"
        f" --model {MODEL} DIRECTORY`, and configure that directory as the model"
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ((HTTPStatus.NOT_FOUND, "RepoNotFound"), "is not on the hub, or is private"),
        ((HTTPStatus.NOT_FOUND, "RevisionNotFound"), "is no revision that the hub has"),
        ((HTTPStatus.FORBIDDEN, "GatedRepo"), "may not be downloaded without consent"),
        ((HTTPStatus.SERVICE_UNAVAILABLE, ""), "cannot be downloaded (HfHubHTTPError"),
    ],
    ids=["no such model", "no such revision", "gated", "down"],
)
def test_what_the_hub_refuses_is_told_in_one_line(
    home: Path, error: tuple[HTTPStatus, str], words: str
) -> None:
    began = time.monotonic()
    with serving({}) as hub:
        hub.error = error
        fetched = run(FETCH, endpoint=hub.url, home=home)

    assert fetched.returncode == 1
    problem = fetched.stderr.splitlines()[-1]
    assert problem.startswith(f"{MODEL}@01234567 {words}")
    assert problem.endswith(", or configure a directory as the model")
    assert time.monotonic() - began < 20


def nowhere() -> str:
    """Give an address where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize(
    "more", [{}, {"HF_HUB_OFFLINE": "1"}], ids=["no hub", "offline"]
)
def test_without_the_hub_it_gives_up_soon(home: Path, more: dict[str, str]) -> None:
    began = time.monotonic()

    fetched = run(FETCH, endpoint=nowhere(), home=home, **more)

    assert fetched.returncode == 1
    problem = fetched.stderr.splitlines()[-1]
    assert problem.startswith(f"{MODEL}@01234567 cannot be downloaded (")
    assert problem.endswith(
        "): let this machine reach the hub, or configure a directory as the model"
    )
    assert time.monotonic() - began < 20


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("no directory", "utf-8")

    fetched = run(FETCH, endpoint=nowhere(), home=tmp_path / "home")

    assert fetched.returncode == 1
    assert "cannot be downloaded (" in fetched.stderr.splitlines()[-1]


def test_a_model_is_called_by_its_id_and_what_tells_commits_apart() -> None:
    assert hub_name(MODEL, revision=REVISION) == "someone/reranker@01234567"
