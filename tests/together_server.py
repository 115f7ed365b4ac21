"""A stand-in for Together, whose calls no mock serves: files, jobs, events and figures in memory. Prism before it holds what
it is asked, and what it answers, against Together's published document."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

AT = "2026-11-27T10:00:0{}.000Z"
METRICS = [{"train/loss": 1.5, "train/global_step": 1}, {"train/loss": 0.5, "train/global_step": 2, "eval/loss": 0.75}]


class Standing:
    """`files`, `jobs`: what is there; `asked`: method, path and body of all requests, in order."""

    def __init__(self, *states: str) -> None:
        self.states = states or ("pending", "running", "completed")
        self.files: list[dict[str, Any]] = []
        self.jobs: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        self.asked.append((method, path, body))
        if path == "/files":
            return 200, {"data": self.files}
        if path == "/files/upload":
            self.files.append(file_of(len(self.files) + 1, body))
            return 200, self.files[-1]
        if path == "/fine-tunes/models/supported":
            return 200, {"models": ["meta-llama/Meta-Llama-3.1-8B-Instruct-Reference"]}
        if path == "/fine-tunes":
            return (200, self._made(body)) if method == "POST" else (200, {"data": [shown(job) for job in self.jobs]})
        if match := re.fullmatch(r"/files/(.+)", path):
            self.files = [one for one in self.files if one["id"] != match[1]]
            return 200, {"id": match[1], "deleted": True}
        match = re.fullmatch(r"/fine-tunes/([^/]+)/?(\w*)", path)
        found = next((job for job in self.jobs if match and job["id"] == match[1]), None)
        if found is None or match is None:
            return 404, {"error": {"message": "not found", "type": "invalid_request_error"}}
        return 200, self._of_job(found, match[2])

    def _made(self, body: dict[str, Any]) -> dict[str, Any]:
        self.jobs.append({
            "id": str(uuid.UUID(int=len(self.jobs) + 1)), "looks": 0, "status": "pending", "created_at": AT.format(0),
            "updated_at": AT.format(5), "model_output_name": f"acme/Llama-{body['suffix']}"} | body)  # fmt: skip
        return shown(self.jobs[-1])

    def _of_job(self, job: dict[str, Any], what: str) -> dict[str, Any]:
        if what == "events":
            return {"data": [told(number, message) for number, message in enumerate(("Job started", "Job is running"))]}
        if what == "metrics":
            return {"metrics": METRICS}
        if what == "cancel":
            job["status"], job["looks"] = "cancelled", 99
        elif job["status"] != "cancelled":
            job["status"] = self.states[min(job["looks"], len(self.states) - 1)]
            job["looks"] += 1
        return shown(job) | ({"token_count": 4_000} if job["status"] == "completed" else {})


def shown(job: dict[str, Any]) -> dict[str, Any]:
    hidden = ("looks", "n_evals", "training_method", "learning_rate", "random_seed", "batch_size", "n_epochs")
    return {name: value for name, value in job.items() if name not in hidden}


def file_of(number: int, body: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"file-{number}", "object": "file", "created_at": 1_795_000_000, "filename": body["file_name"],
            "bytes": len(body["file"]), "purpose": body["purpose"], "FileType": "jsonl", "Processed": True}  # fmt: skip


def told(number: int, message: str) -> dict[str, Any]:
    nothing: dict[str, Any] = dict.fromkeys(("wandb_url", "checkpoint_path", "model_path"), "")
    nothing |= dict.fromkeys(("param_count", "token_count", "step", "training_offset"), 0)
    return nothing | {"object": "fine-tune-event", "created_at": AT.format(number), "level": "info", "message": message,
                      "type": "job_start", "total_steps": 2, "hash": f"hash-{number}"}  # fmt: skip


@contextmanager
def serving(standing: Standing) -> Iterator[str]:
    """Its address, until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            kind = self.headers.get("content-type", "")
            body = _parts(kind, raw) if "multipart" in kind else json.loads(raw or b"{}")
            status, found = standing.answer(self.command, self.path, body)
            content = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _any

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _parts(kind: str, raw: bytes) -> dict[str, Any]:
    found = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + raw)
    parts = found.get_payload()
    assert isinstance(parts, list)
    return {str(part.get_param("name", header="content-disposition")): part.get_payload(decode=part.get_filename() is not None)
            for part in parts}  # fmt: skip
