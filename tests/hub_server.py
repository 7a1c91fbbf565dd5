"""A small Hugging Face Hub on 127.0.0.1, for the real client; it keeps everything in memory and breaks down on demand.

    with HubServer({"hf_writer": User("org", write=True)}) as server:
        server.faults.append(Fault(r"GET .*\\.safetensors", "cut", at=1000))
        with server.client(tmp_path, token="hf_writer") as api:  # in this process
            ...
        run_client("...", server.environment(tmp_path, token="hf_writer"))  # in another one

As on the real Hub, large files lie on a host of their own (here another port): `resolve` redirects there, uploads go
there, and a token that is sent there is refused. An address there ends on the name of the file and a signature, so that
`GET .*name` matches the download of a small and of a large file.

What a retry of the client costs (2.4) in a process of its own: it sleeps 1, 2, 4, 8, 8 s, and `Retry-After: 0`, which
every fault of status 429 or 5xx sends, makes that 1 s each; in this process it sleeps not at all. So let a fault strike
once (`times=1`, 1 s at most), or take a status that is not retried (400, 401, 403, 404), or a request that is not: HEAD
if the file is in the cache, GET of a file but for 408 and 429, `model_info`, `create_repo`, `create_tag` and
`create_commit`; not so `preupload`, the large files and listings. A cut download goes on after 1 s, and ends after five
cuts in a row that gave no byte. A slow answer costs what the client waits: `etag_timeout` and `timeout` of its
functions, or HF_HUB_ETAG_TIMEOUT and HF_HUB_DOWNLOAD_TIMEOUT.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple, get_args
from urllib.parse import parse_qs, urlsplit
from urllib.request import getproxies

import pytest

from tests.hub_protocol import Answer, Protocol, Request
from tests.hub_storage import HubError, Repository, Storage, User, is_large

__all__ = ["Call", "Fault", "HubServer", "User", "run_client"]

Kind = Literal["status", "hang up", "lost", "slow", "cut", "reset", "truncate", "corrupt", "wrong_hash"]


class Call(NamedTuple):
    """A request that reached the server; `path` has the query, the names of `headers` are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class Fault:
    """What goes wrong with some requests.

    - `status`: the answer is an error, `status`, with `X-Error-Code: code` if there is one; nothing is done.
    - `hang up`: the connection closes without an answer, and nothing is done.
    - `lost`: what was asked is done, and the connection closes without an answer.
    - `slow`: `seconds` pass before the answer, or, with `at`, before each `at` bytes of its body.
    - `cut`: the connection closes after `at` bytes of the body, of which all were announced.
    - `reset`: as `cut`, but as if the network failed.
    - `truncate`: the body ends after `at` bytes, and says so.
    - `corrupt`: in the byte `at` of the body a bit is flipped.
    - `wrong_hash`: `ETag` and `X-Linked-Etag` are those of something else.

    The body is that of a GET's answer, or, for `cut`, `reset` and `corrupt`, the one that a request brings. A request
    that a kind cannot hurt (a HEAD by `cut`) is none of its matches; nor is one that an earlier fault of the same kind
    hurts. A client whose request was not read to its end may be told of a failure instead of an end.

    Args:
        match: a regular expression that is searched for in `METHOD path?query`.
        kind: what goes wrong.
        at: a number of bytes.
        status: an HTTP status.
        code: `RepoNotFound`, `RevisionNotFound`, `EntryNotFound` or another of the Hub's words.
        seconds: how long `slow` waits.
        times: how many requests are hurt; `None`: all.
        after: how many matches are let through before.

    Raises:
        ValueError: if there is no such kind.
    """

    match: str
    kind: Kind
    at: int = 0
    status: int = 503
    code: str = ""
    seconds: float = 0.5
    times: int | None = 1
    after: int = 0
    #: How many matches there were.
    seen: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}; got {self.kind!r}.")

    def strikes(self, request: str) -> bool:
        """Whether this request is hurt; counts it."""
        if not re.search(self.match, request):
            return False
        self.seen += 1
        return self.seen > self.after and (self.times is None or self.seen <= self.after + self.times)


class _Handler(BaseHTTPRequestHandler):
    """Carries requests to the protocol and answers back, through the faults."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement
    server: _Listener

    def serve(self) -> None:
        """One request."""
        hub = self.server.hub
        headers = {name.lower(): value for name, value in self.headers.items()}
        hub.requests.append(Call(self.command, self.path, headers))
        try:
            if self.hurt("hang up"):
                raise ConnectionAbortedError
            slow = self.hurt("slow")
            if slow and not slow.at:
                time.sleep(slow.seconds)
            body = self.receive()
            answer = self.answer(headers, body)
            if self.hurt("lost"):
                raise ConnectionAbortedError
            self.send(answer, slow)
        except ConnectionError:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = serve  # noqa: N815

    def hurt(self, *kinds: Kind) -> Fault | None:
        """The first fault of these kinds that strikes this request."""
        with self.server.hub.lock:
            line = f"{self.command} {self.path}"
            return next(
                (fault for fault in self.server.hub.faults if fault.kind in kinds and fault.strikes(line)), None
            )

    def receive(self) -> bytes:
        """The body of the request."""
        size = int(self.headers.get("Content-Length", 0))
        if not size:
            return b""
        if cut := self.hurt("cut", "reset"):
            self.rfile.read(min(cut.at, size))
            self.hang_up(cut)
        body = self.rfile.read(size)
        if len(body) < size:
            raise ConnectionAbortedError  # it was the client that hung up
        corrupt = self.hurt("corrupt")
        return _flip(body, corrupt.at) if corrupt else body

    def answer(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """What the protocol answers, or a fault in its place."""
        hub, address = self.server.hub, urlsplit(self.path)
        try:
            if fault := self.hurt("status"):
                retry = {"Retry-After": "0"} if fault.status == 429 or fault.status >= 500 else {}
                raise HubError(fault.status, f"a fault of the test: {fault.status}", fault.code, retry)
            request = Request(self.command, address.path, parse_qs(address.query), headers, body)
            return hub.protocol.answer(request)
        except HubError as error:
            told = {"X-Error-Message": error.message, **({"X-Error-Code": error.code} if error.code else {})}
            return Answer(json.dumps({"error": error.message}).encode(), error.status, told | error.headers)

    def send(self, answer: Answer, slow: Fault | None) -> None:
        """Sends an answer, or what the faults leave of it."""
        body, headers = answer.body, {"Content-Type": "application/json", **answer.headers}
        if "ETag" in headers and self.hurt("wrong_hash"):
            for name in {"ETag", "X-Linked-Etag"} & set(headers):
                headers[name] = f'"{hashlib.sha256(b"something else").hexdigest()[: len(headers[name]) - 2]}"'
        whole = self.command == "GET" and bool(body) and answer.status < 300
        if whole and (truncate := self.hurt("truncate")):
            body = body[: truncate.at]
        if whole and (corrupt := self.hurt("corrupt")):
            body = _flip(body, corrupt.at)
        self.send_response(answer.status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if whole and (cut := self.hurt("cut", "reset")):
            self.wfile.write(body[: cut.at])
            self.hang_up(cut)
        step = slow.at if slow and slow.at else len(body)
        for start in range(0, len(body), step or 1):
            if slow and slow.at:
                time.sleep(slow.seconds)
            self.wfile.write(body[start : start + step])

    def hang_up(self, fault: Fault) -> None:
        """Closes the connection; after `reset` the client is told of a failure instead of an end."""
        if fault.kind == "reset":
            linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.server.resets.add(self.connection)
        raise ConnectionAbortedError

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed: tests ask `HubServer.requests`."""


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


class _Listener(ThreadingHTTPServer):
    """A port of the server; it knows its connections, since clients keep them open."""

    request_queue_size = 64
    daemon_threads = False  # so that they are joined

    def __init__(self, hub: HubServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.resets: set[socket.socket] = set()
        self._connections: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.005})
        self._thread.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        if request in self.resets:
            self.close_request(request)  # without a farewell
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # else the client was gone first
            self.hub.errors.append(traceback.format_exc())

    def stop(self) -> None:
        """Closes the port and all connections."""
        self.shutdown()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()
        self._thread.join()


class HubServer:
    """The Hub, from `with` to its end: two ports of 127.0.0.1, one of them for large files.

    Args:
        tokens: whom each token stands for; without a token, public repositories can be read.

    Attributes:
        url: the address, as HF_ENDPOINT wants it.
        faults: what is to go wrong.
        requests: all that was asked, in order.
        errors: bugs of the server itself; the end of `with` raises them.
    """

    def __init__(self, tokens: Mapping[str, User] | None = None) -> None:
        self.storage = Storage()
        self.protocol = Protocol(self.storage, dict(tokens or {}))
        self.faults: list[Fault] = []
        self.requests: list[Call] = []
        self.errors: list[str] = []
        self.lock = threading.Lock()
        self.url = ""

    def __enter__(self) -> HubServer:
        self._listeners = _Listener(self), _Listener(self)
        self.url, self.protocol.storage_url = (listener.url for listener in self._listeners)
        self.protocol.url = self.url
        return self

    def stop(self) -> None:
        """Closes the ports, before the end of `with` does: from here on there is no Hub."""
        for listener in self._listeners:
            listener.stop()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop()
        if self.errors and kind is None:
            raise AssertionError("the Hub of the tests has a bug:\n" + "\n".join(self.errors))

    @property
    def repositories(self) -> dict[str, Repository]:
        """What is published, by `owner/name`."""
        return self.storage.repositories

    def calls(self, pattern: str) -> list[Call]:
        """The requests in whose `METHOD path?query` a regular expression is found."""
        return [call for call in self.requests if re.search(pattern, f"{call.method} {call.path}")]

    def publish(self, name: str, files: Mapping[str, bytes], *, tag: str = "", private: bool = False) -> str:
        """Commits files without a client, creates the repository if there is none, and returns the commit."""
        with self.storage.lock:
            repository = self.repositories.get(name) or self.storage.create(name, private)
            entries = {path: self.storage.write(data, is_large(path, len(data))) for path, data in files.items()}
            repository.objects |= {entry.oid for entry in entries.values() if entry.large}
            commit = repository.commit("main", "publish", entries).oid
            repository.tags |= {tag: commit} if tag else {}
        return commit

    def move_tag(self, name: str, tag: str, commit: str) -> None:
        """Lets a tag of the repository `name` name another commit, or a new tag."""
        with self.storage.lock:
            self.repositories[name].tags[tag] = self.repositories[name].find(commit).oid

    def environment(self, home: Path, token: str | None = None) -> dict[str, str]:
        """The environment for a process whose client talks to this server, keeps its cache in `home` and has `token`.

        It is that of this process without its settings of the client and of proxies.
        """
        settings = re.compile(r"(hf|hugging_?face)_|transformers_offline$|(http|https|all|no)_proxy$", re.IGNORECASE)
        kept = {name: value for name, value in os.environ.items() if not settings.match(name)}
        chosen = {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        switches = ("HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS")
        return kept | chosen | dict.fromkeys(switches, "1") | ({"HF_TOKEN": token} if token else {})

    def _here(self, look_up: Callable[..., Any]) -> Callable[..., Any]:
        """What finds addresses, of this machine alone."""

        def found(host: Any, *arguments: Any, **options: Any) -> Any:
            if host not in (None, "127.0.0.1", "localhost", b"127.0.0.1", b"localhost"):
                self.errors.append(f"a client asked for {host!r}, which is not here")
                raise OSError(self.errors[-1])
            return look_up(host, *arguments, **options)

        return found

    @contextmanager
    def client(self, home: Path, token: str | None = None) -> Iterator[Any]:
        """An `HfApi` of this process that talks to this server, keeps its cache in `home` and has `token`.

        The client reads its settings when it is imported, which has happened by now. So they are set in its
        `constants` until the end of `with`, for calls without `endpoint` too. None of its functions is replaced; it
        tries again at once. Another host is not looked up, and the end of the server's `with` tells of it.
        """
        import huggingface_hub
        from huggingface_hub import constants, file_download
        from huggingface_hub.utils import _http

        environment, proxies = self.environment(home, token), getproxies()  # which the client's session looks for once
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            # The client's own use of its HTTP library, in each upload of a large file.
            warnings.filterwarnings("ignore", "Use 'content=", DeprecationWarning)
            for name in set(os.environ) - set(environment):
                patch.delenv(name)
            for name in set(environment) - set(os.environ) | {"NO_PROXY", "no_proxy", "HF_TOKEN"} & set(environment):
                patch.setenv(name, environment[name])
            patch.setattr(constants, "ENDPOINT", self.url)
            template = self.url + "/{repo_id}/resolve/{revision}/{filename}"
            # Before version 1, the client's downloads keep a name of their own for it.
            for module in (constants, file_download):
                patch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=module is constants)
            patch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
            patch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
            patch.setattr(constants, "HF_HUB_OFFLINE", False)
            patch.setattr(constants, "HF_HUB_DISABLE_XET", True, raising=False)
            patch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
            patch.setattr(socket, "getaddrinfo", self._here(socket.getaddrinfo))
            for module in (_http, file_download):
                patch.setattr(module, "time", SimpleNamespace(**vars(time) | {"sleep": lambda _: None}))
            if proxies:
                huggingface_hub.close_session()
            try:
                yield huggingface_hub.HfApi(endpoint=self.url, token=token or False)
            finally:
                if proxies:
                    huggingface_hub.close_session()


def run_client(code: str, environment: Mapping[str, str], timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a process of its own, for at most so many seconds, and returns its output and status."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
