"""A server with the routes of the Hugging Face Hub that its client uses for the files of a repository.

As https://huggingface.co/docs/hub/api and the client's own requests have them: what a repository is, a list of its
files, files by revision and range, and commits that name the parent they are made on. Repositories are in memory.
"""

import base64
import hashlib
import http.server
import json
import re
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class Repository:
    """Files by path, and the commit that they are at.

    Attributes:
        raced: How many commits are still to be beaten by one of somebody else.
        commits: How many there were.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    commits: int = 0
    raced: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def sha(self) -> str:
        return f"{self.commits:040x}"


def entry(path: str, content: bytes) -> dict[str, Any]:
    oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return {"type": "file", "path": path, "size": len(content), "oid": oid}


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    repository: Repository

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        files = self.repository.files
        if found := re.fullmatch(r"/api/models/team/shelf(/revision/\w+)?", path):
            self._json({"_id": "1", "id": "team/shelf", "sha": self.repository.sha, "siblings": []})
        elif found := re.fullmatch(r"/api/models/team/shelf/tree/\w+/?(.*)", path):
            below = f"{found[1]}/" if found[1] else ""
            listed = [entry(name, content) for name, content in files.items() if name.startswith(below)]
            self._json(listed) if listed else self._missing("EntryNotFound")
        elif found := re.fullmatch(r"/team/shelf/resolve/\w+/(.+)", path):
            self._file(files.get(found[1]))
        else:
            self._missing("RepoNotFound")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/api/models/team/shelf/paths-info/"):
            asked = json.loads(body)["paths"]
            files = self.repository.files
            self._json([entry(name, files[name]) for name in asked if name in files])
        elif path.startswith("/api/models/team/shelf/preupload/"):
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
            self._json({"files": files})
        elif path.startswith("/api/models/team/shelf/commit/"):
            self._commit([json.loads(line) for line in body.splitlines()])
        else:
            self._missing("RepoNotFound")

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        repository = self.repository
        with repository.lock:
            if repository.raced:
                repository.raced -= 1
                repository.commits += 1
            header = next(one["value"] for one in lines if one["key"] == "header")
            if header.get("parentCommit") not in (None, repository.sha):
                self._json({"error": "A commit has happened since. Please refresh and try again."}, status=412)
                return
            for one in lines:
                if one["key"] == "file":
                    repository.files[one["value"]["path"]] = base64.b64decode(one["value"]["content"])
            repository.commits += 1
            oid = repository.sha
        self._json(
            {"success": True, "commitOid": oid, "commitUrl": f"http://{self.headers['Host']}/team/shelf/commit/{oid}"}
        )

    def _file(self, content: bytes | None) -> None:
        if content is None:
            self._missing("EntryNotFound")
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        first = int(asked[1]) if asked else 0
        last = min(int(asked[2]), len(content) - 1) if asked and asked[2] else len(content) - 1
        part = content[first : last + 1]
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", self.repository.sha)
        self._send(part)

    def _json(self, value: Any, *, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self._send(json.dumps(value).encode())

    def _missing(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self._send(b"")

    def _send(self, content: bytes) -> None:
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass
