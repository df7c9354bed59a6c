"""A server that says hello, and writes its port to a file once it listens."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Hello(BaseHTTPRequestHandler):
    """Answers every request."""

    def do_GET(self) -> None:
        """Say hello."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")


server = HTTPServer(("127.0.0.1", 0), Hello)
Path("port.new").write_text(str(server.server_port))
os.replace("port.new", "port")
server.serve_forever()
