"""What a Hub without a network answers to each request: the protocol, as the real client speaks it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, unquote

import yaml

from tests.hub_storage import Commit, Entry, HubError, Repository, Storage, User, is_large


@dataclass
class Request:
    """What was asked: `path` is without the query and still quoted."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    user: User | None = None

    def json(self) -> Any:
        """The body as JSON."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise HubError(400, f"Invalid JSON: {error}") from error


@dataclass
class Answer:
    """What is answered."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


_Method = Callable[..., Any]
_ROUTES: list[tuple[str, re.Pattern[str], str, _Method]] = []


def _route(method: str, pattern: str, right: Literal["", "read", "write"] = "") -> Callable[[_Method], _Method]:
    """Names the requests that a method of `Protocol` answers, and the right that they need on their `{repo}`.

    `{repo}` is `owner/name`, `{path}` may have slashes, and any other `{name}` has none.
    """
    parts = {"repo": "[^/]+/[^/]+", "path": ".+"}
    expression = re.sub(r"{(\w+)}", lambda part: f"(?P<{part[1]}>{parts.get(part[1], '[^/]+')})", pattern)

    def register(function: _Method) -> _Method:
        _ROUTES.append((method, re.compile(expression), right, function))
        return function

    return register


class Protocol:
    """What the Hub answers to each request; it knows nothing of sockets and faults."""

    def __init__(self, storage: Storage, tokens: Mapping[str, User]) -> None:
        self.storage, self.tokens = storage, tokens
        self.url = self.storage_url = ""
        self._signature = secrets.token_hex(8)

    def answer(self, request: Request) -> Answer:
        """Does what is asked; raises `HubError` if it cannot be."""
        for method, pattern, right, function in _ROUTES:
            match = pattern.fullmatch(request.path)
            if match and method == request.method.replace("HEAD", "GET"):
                with self.storage.lock:
                    arguments: dict[str, Any] = {name: unquote(value) for name, value in match.groupdict().items()}
                    request.user = self._user(request)
                    if right:
                        arguments["repo"] = self._repository(arguments["repo"], request.user, right)
                    answer = function(self, request, **arguments)
                return answer if isinstance(answer, Answer) else Answer(json.dumps(answer).encode())
        raise HubError(404, f"The Hub of the tests does not know {request.method} {request.path}")

    # Who may do what.

    def _user(self, request: Request) -> User | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if request.path.startswith("/storage/"):
            # An address of this host carries its own right, and a token that goes there leaks.
            if scheme or request.query.get("signature") != [self._signature]:
                raise HubError(400 if scheme else 403, "Only a signature, and no token, opens the storage")
            return None
        if scheme and token not in self.tokens:
            raise HubError(401, "Invalid credentials in Authorization header")
        return self.tokens[token] if scheme else None

    def _repository(self, name: str, user: User | None, right: str) -> Repository:
        repository = self.storage.repositories.get(name)
        mine = user if user and user.owns(name) else User("", read=False)
        # The Hub does not tell a private repository from none. From an https address the client makes RepoNotFound of
        # every 401; from an http address only if the code says so.
        if user is None and (repository is None or repository.private or right == "write"):
            raise HubError(401, "Invalid username or password.", "RepoNotFound")
        if repository is None or (repository.private and not mine.read):
            raise HubError(404, "Repository not found", "RepoNotFound")
        if right == "write" and not mine.write:
            raise HubError(403, "Authorization error: this token may not write here")
        return repository

    def _namespace(self, request: Request) -> str:
        """The name of a repository that is created or deleted, if the user may do so."""
        asked, user = request.json(), request.user
        if user is None:
            raise HubError(401, "Invalid username or password.")
        owner = asked.get("organization") or user.name
        if not (user.write and user.owns(owner)):
            raise HubError(403, f'You don\'t have the rights to create a model under the namespace "{owner}"')
        return f"{owner}/{asked['name']}"

    @_route("GET", "/api/whoami-v2")
    def whoami(self, request: Request) -> dict[str, Any]:
        user = request.user
        if user is None:
            raise HubError(401, "Invalid username or password.")
        token = {"displayName": "test", "role": "write" if user.write else "read"}
        organizations = [{"name": name, "type": "org"} for name in user.organizations]
        return {"type": "user", "name": user.name, "orgs": organizations, "auth": {"accessToken": token}}

    # Repositories.

    @_route("POST", "/api/repos/create")
    def create(self, request: Request) -> Answer | dict[str, Any]:
        name, asked = self._namespace(request), request.json()
        place = {"url": f"{self.url}/{name}", "name": name}
        try:
            self.storage.create(name, asked.get("visibility") == "private" or bool(asked.get("private")))
        except HubError as error:  # with `exist_ok` the client asks even this answer for the address
            return Answer(json.dumps({"error": error.message, **place}).encode(), error.status)
        return place

    @_route("DELETE", "/api/repos/delete")
    def delete(self, request: Request) -> dict[str, Any]:
        name = self._namespace(request)
        self._repository(name, request.user, "write")
        del self.storage.repositories[name]
        return {}

    @_route("GET", "/api/models")
    def models(self, request: Request) -> list[Any]:
        query, found = request.query, []
        for name, repository in sorted(self.storage.repositories.items()):
            with suppress(HubError):  # what this user may not read is not listed
                self._repository(name, request.user, "read")
                model = self._describe(repository, repository.find("main"), full="full" in query)
                wanted = set(query.get("filter", []) + query.get("pipeline_tag", []))
                search = query.get("search", [""])[0].lower()
                if query.get("author", [model["author"]]) == [model["author"]] and search in name.lower():
                    found += [model] if wanted <= set(model["tags"]) else []
        return found[: int(query.get("limit", ["1000"])[0])]

    @_route("GET", "/api/models/{repo}", "read")
    def model(self, request: Request, repo: Repository) -> dict[str, Any]:
        return self._describe(repo, repo.find("main"), full=True, blobs="blobs" in request.query)

    @_route("GET", "/api/models/{repo}/revision/{revision}", "read")
    def revision(self, request: Request, repo: Repository, revision: str) -> dict[str, Any]:
        return self._describe(repo, repo.find(revision), full=True, blobs="blobs" in request.query)

    def _describe(self, repo: Repository, commit: Commit, full: bool = False, blobs: bool = False) -> dict[str, Any]:
        readme = commit.files.get("README.md")
        card = _card(self.storage.blobs[readme.oid].decode()) if readme else {}
        words: dict[str, Any] = {name: card[name] for name in ("library_name", "pipeline_tag") if name in card}
        tags = [*card.get("tags", []), *words.values()]
        tags += [f"license:{card['license']}"] if "license" in card else []
        first = repo.history(commit.oid)[-1]
        author = repo.name.partition("/")[0]
        model = {
            "id": repo.name,
            "modelId": repo.name,
            "author": author,
            "private": repo.private,
            "tags": tags,
            **words,
        }
        model |= {"createdAt": _date(first), "downloads": 0, "likes": 0}
        if full:
            siblings = [self._sibling(path, entry, blobs) for path, entry in sorted(commit.files.items())]
            model |= {"sha": commit.oid, "lastModified": _date(commit), "cardData": card, "siblings": siblings}
        return model

    @staticmethod
    def _sibling(path: str, entry: Entry, blobs: bool) -> dict[str, Any]:
        if not blobs:
            return {"rfilename": path}
        lfs = {"lfs": {"sha256": entry.oid, "size": entry.size, "pointerSize": len(entry.pointer)}}
        return {"rfilename": path, "size": entry.size, "blobId": entry.blob, **(lfs if entry.large else {})}

    @_route("GET", "/api/models/{repo}/refs", "read")
    def refs(self, request: Request, repo: Repository) -> dict[str, Any]:
        def listed(kind: str, names: Mapping[str, str]) -> list[dict[str, str]]:
            return [{"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": oid} for name, oid in names.items()]

        return {"branches": listed("heads", repo.branches), "tags": listed("tags", repo.tags), "converts": []}

    @_route("GET", "/api/models/{repo}/commits/{revision}", "read")
    def commits(self, request: Request, repo: Repository, revision: str) -> list[Any]:
        return [
            {"id": one.oid, "title": one.title, "message": one.message, "date": _date(one), "authors": []}
            for one in repo.history(revision)
        ]

    # Files.

    @_route("GET", "/api/models/{repo}/tree/{revision}", "read")
    @_route("GET", "/api/models/{repo}/tree/{revision}/{path}", "read")
    def tree(self, request: Request, repo: Repository, revision: str, path: str = "") -> list[Any]:
        inside = f"{path}/" if path else ""
        files = {name: file for name, file in sorted(repo.find(revision).files.items()) if name.startswith(inside)}
        if not files:
            raise HubError(404, f"{path} does not exist", "EntryNotFound")
        folders = {"/".join(name.split("/")[:depth]) for name in files for depth in range(1, name.count("/") + 1)}
        if request.query.get("recursive") != ["true"]:
            files = {name: file for name, file in files.items() if "/" not in name[len(inside) :]}
            folders = {name for name in folders if "/" not in name[len(inside) :]}
        inner = sorted(name for name in folders if name.startswith(inside))
        listed = [{"type": "directory", "oid": hashlib.sha1(name.encode()).hexdigest(), "path": name} for name in inner]
        return listed + [self._item(name, entry) for name, entry in files.items()]

    @staticmethod
    def _item(path: str, entry: Entry) -> dict[str, Any]:
        lfs = {"lfs": {"oid": entry.oid, "size": entry.size, "pointerSize": len(entry.pointer)}}
        return {"type": "file", "path": path, "size": entry.size, "oid": entry.blob, **(lfs if entry.large else {})}

    @_route("GET", "/{repo}/resolve/{revision}/{path}", "read")
    def resolve(self, request: Request, repo: Repository, revision: str, path: str) -> Answer:
        commit = repo.find(revision)
        headers = {"X-Repo-Commit": commit.oid}
        if path not in commit.files:
            raise HubError(404, "Entry not found", "EntryNotFound", headers)
        entry = commit.files[path]
        if not entry.large:
            return self._content(request, entry.oid, headers)
        place = f"{self.storage_url}/storage/{entry.oid}/{quote(path)}?signature={self._signature}"
        etag = f'"{entry.oid}"'
        linked = {"Location": place, "X-Linked-Size": str(entry.size), "X-Linked-Etag": etag, "ETag": etag}
        return Answer(b"", 302, headers | linked)

    def _content(self, request: Request, oid: str, headers: Mapping[str, str] | None = None) -> Answer:
        """The bytes of a file, or those for which `Range` asks."""
        data = self.storage.blobs[oid]
        known = {"ETag": f'"{oid}"', "Accept-Ranges": "bytes", **(headers or {})}
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
        if not asked:
            return Answer(data, 200, known)
        first, last = asked[1], asked[2]
        start = int(first) if first else max(len(data) - int(last), 0)
        stop = min(int(last) + 1, len(data)) if first and last else len(data)
        if start >= stop:
            raise HubError(416, "Range Not Satisfiable", headers={"Content-Range": f"bytes */{len(data)}"})
        return Answer(data[start:stop], 206, known | {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"})

    # Commits, tags and branches.

    @_route("POST", "/api/validate-yaml")
    def validate_yaml(self, request: Request) -> Answer | dict[str, Any]:
        try:
            card = _card(request.json()["content"], strict=True)
        except yaml.YAMLError as error:
            return Answer(json.dumps({"errors": [{"message": str(error)}], "warnings": []}).encode(), 400)
        missing = [{"message": "empty or missing yaml metadata in repo card"}]
        return {"errors": [], "warnings": [] if card else missing}

    @_route("POST", "/api/models/{repo}/preupload/{revision}", "write")
    def preupload(self, request: Request, repo: Repository, revision: str) -> dict[str, Any]:
        before, files = repo.find(revision).files, []
        for file in request.json()["files"]:
            path, old = file["path"], before.get(file["path"])
            mode = "lfs" if is_large(path, file["size"]) else "regular"
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": old.oid if old else None})
        return {"files": files}

    @_route("POST", "/api/models/{repo}/commit/{revision}", "write")
    def commit(self, request: Request, repo: Repository, revision: str) -> dict[str, Any]:
        changes: dict[str, Entry | None] = {}
        header: dict[str, str] = {}
        for line in request.body.splitlines():
            item = json.loads(line)
            key, value = item["key"], item["value"]
            if key == "header":
                header = value
            elif key == "file":
                changes[value["path"]] = self.storage.write(base64.b64decode(value["content"]))
            elif key == "lfsFile":
                changes[value["path"]] = Entry(value["oid"], value["size"])
            elif key == "deletedFolder":
                inside = value["path"].rstrip("/") + "/"
                changes |= dict.fromkeys(path for path in repo.find(revision).files if path.startswith(inside))
            else:
                changes[value["path"]] = None
        text = header.get("description", "")
        made = repo.commit(revision, header["summary"], changes, text, header.get("parentCommit", ""))
        return {"success": True, "commitOid": made.oid, "commitUrl": f"{self.url}/{repo.name}/commit/{made.oid}"}

    @_route("POST", "/api/models/{repo}/tag/{revision}", "write")
    def create_tag(self, request: Request, repo: Repository, revision: str) -> dict[str, Any]:
        tag, commit = request.json()["tag"], repo.find(revision)
        if tag in repo.tags:
            raise HubError(409, "Tag reference exists already")
        repo.tags[tag] = commit.oid
        return {}

    @_route("POST", "/api/models/{repo}/branch/{branch}", "write")
    def create_branch(self, request: Request, repo: Repository, branch: str) -> dict[str, Any]:
        if branch in repo.branches:
            raise HubError(409, f"Reference already exists: {branch}")
        repo.branches[branch] = repo.find(request.json().get("startingPoint", "main")).oid
        return {}

    @_route("DELETE", "/api/models/{repo}/{kind}/{name}", "write")
    def delete_reference(self, request: Request, repo: Repository, kind: str, name: str) -> dict[str, Any]:
        if {"tag": repo.tags, "branch": repo.branches}[kind].pop(name, None) is None:
            raise HubError(404, f"Invalid rev id: {name}", "RevisionNotFound")
        return {}

    # Large files: they are uploaded to a host of their own and verified, and then a commit may have them.

    @_route("POST", "/{repo}.git/info/lfs/objects/batch", "write")
    def batch(self, request: Request, repo: Repository) -> dict[str, Any]:
        objects = []
        for wanted in request.json()["objects"]:
            oid = wanted["oid"]
            upload = {"href": f"{self.storage_url}/storage/{oid}?signature={self._signature}"}
            verify = {"href": f"{self.url}/{repo.name}.git/info/lfs/objects/verify"}
            stored = oid in repo.objects
            objects.append({**wanted, **({} if stored else {"actions": {"upload": upload, "verify": verify}})})
        return {"transfer": "basic", "objects": objects}

    @_route("POST", "/{repo}.git/info/lfs/objects/verify", "write")
    def verify(self, request: Request, repo: Repository) -> dict[str, Any]:
        asked = request.json()
        data = self.storage.blobs.get(asked["oid"])
        if data is None:
            raise HubError(404, f"{asked['oid']} was not uploaded", "EntryNotFound")
        if len(data) != asked["size"] or hashlib.sha256(data).hexdigest() != asked["oid"]:
            raise HubError(400, f"what was uploaded as {asked['oid']} has {len(data)} bytes, or another hash")
        repo.objects.add(asked["oid"])
        return {}

    @_route("GET", "/storage/{oid}/{path}")
    def read(self, request: Request, oid: str, path: str) -> Answer:
        return self._content(request, oid)

    @_route("PUT", "/storage/{oid}")
    def upload(self, request: Request, oid: str) -> dict[str, Any]:
        if hashlib.sha256(request.body).hexdigest() != oid:
            raise HubError(400, f"BadDigest: the sha256 of the body is not {oid}")
        self.storage.write(request.body, large=True)
        return {}


def _card(text: str, strict: bool = False) -> dict[str, Any]:
    """The metadata at the head of a README; none if they cannot be read, or `yaml.YAMLError` if strict."""
    head = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    try:
        card = yaml.safe_load(head[1]) if head else {}
    except yaml.YAMLError:
        if strict:
            raise
        card = {}
    return card if isinstance(card, dict) else {}


def _date(commit: Commit) -> str:
    return commit.date.strftime("%Y-%m-%dT%H:%M:%S.000Z")
