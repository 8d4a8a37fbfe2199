"""Keeps what the npm and PyPI registries answer, and answers with it where there is no network.

    registry.py PORT DIRECTORY            answers from DIRECTORY, and 404 to all else
    registry.py PORT DIRECTORY --record   asks the registry for what is missing there

A path is /HOST/PATH of the registry; the addresses in its answers are rewritten to
that form. It listens on 127.0.0.1 alone and stops when it is killed.
"""

import gzip
import hashlib
import json
import os
import re
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, DIRECTORY = int(sys.argv[1]), sys.argv[2]
RECORD = "--record" in sys.argv[3:]
HERE = "http://127.0.0.1:%d/" % PORT
MOST = 256 << 20  # bytes of an answer
ARCHIVES = (".whl", ".tgz", ".gz", ".metadata")


class Registry(BaseHTTPRequestHandler):
    def do_GET(self):
        # A page is answered in the form that is asked for; an archive has one.
        asked = self.path
        if not asked.endswith(ARCHIVES):
            asked += "\n" + self.headers.get("Accept", "")
        kept = os.path.join(DIRECTORY, hashlib.sha256(asked.encode()).hexdigest())
        if RECORD and not os.path.exists(kept):
            self.record(kept)
        try:
            with open(kept, "rb") as f:
                head = json.loads(f.readline())
                body = f.read()
        except FileNotFoundError:
            print("registry: has no", self.path, file=sys.stderr, flush=True)
            return self.answer(404, "text/plain", b"")
        self.answer(head["status"], head["type"], body)

    do_HEAD = do_GET

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def record(self, kept):
        request = urllib.request.Request("https:/" + self.path)
        if self.headers.get("Accept"):
            request.add_header("Accept", self.headers["Accept"])
        try:
            reply = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as e:
            reply = e
        body = reply.read(MOST)
        if reply.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        kind = reply.headers.get("Content-Type", "")
        if not self.path.endswith(ARCHIVES):
            body = re.sub(rb"https://([a-z0-9.-]+)/", HERE.encode() + rb"\1/", body)
        with open(kept + ".new", "wb") as f:
            f.write(json.dumps({"status": reply.status, "type": kind}).encode() + b"\n" + body)
        os.replace(kept + ".new", kept)

    def log_message(self, *args):
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Registry).serve_forever()
