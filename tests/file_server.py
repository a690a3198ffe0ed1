"""A server on 127.0.0.1 with one file, as good or as bad as a test wants it."""

import http.server
import re
import threading
from contextlib import contextmanager
from types import SimpleNamespace


@contextmanager
def serving(data: bytes, **behaviour):
    """A server and how it behaves; change its attributes while it runs.

    ranges: does it answer Range; if_range: does it heed If-Range; etag, modified: its headers, or None; cut: close the
    connection after so many bytes of an answer, as often as `cuts` says; status: refuse with it, as often as `refusals`
    says; wait: an Event to wait for after `cut` bytes; files: other data by path; asked: the requests so far.
    """
    state = SimpleNamespace(
        data=data, ranges=True, if_range=True, etag='"one"', modified="Sun, 22 Nov 2026 10:00:00 GMT",
        cut=None, cuts=10**6, status=None, refusals=10**6, wait=None, files={}, asked=[], length=True,
    )  # fmt: skip
    state.__dict__.update(behaviour)
    handler = type("Handler", (_Handler,), {"state": state})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        if state.wait:
            state.wait.set()
        server.shutdown()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    state: SimpleNamespace

    def log_message(self, *_):
        pass

    def do_GET(self):
        s = self.state
        wanted = self.headers.get("Range")
        s.asked.append((self.path, wanted))
        if s.status and s.refusals:
            s.refusals -= 1
            self.send_error(s.status)
            return
        data = s.files.get(self.path, s.data)
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and s.ranges else 0
        if s.if_range and self.headers.get("If-Range") not in (None, s.etag, s.modified):
            start = 0
        if start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if s.length:
            self.send_header("Content-Length", str(len(data) - start))
        for name, value in (("ETag", s.etag), ("Last-Modified", s.modified)):
            if value:
                self.send_header(name, value)
        self.end_headers()
        body = data[start:]
        if s.cut and s.cuts and s.cut < len(body):
            s.cuts -= 1
            self.wfile.write(body[: s.cut])
            self.wfile.flush()
            if s.wait:
                s.wait.wait(30)
            self.close_connection = True
            return
        self.wfile.write(body)
