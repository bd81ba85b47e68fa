#!/usr/bin/env python3
"""Serves the folder `page` beside this file, with Python 3.7 or later alone; serve.mjs does the same with Node. A taken port means
the next one. Other computers reach it with --host 0.0.0.0, and need https: --cert and --key."""
import argparse, errno, hashlib, http.client, json, os, re, shutil, signal, socket, socketserver, ssl, sys, webbrowser
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

FOLDER = os.path.dirname(os.path.realpath(__file__))
PAGE = os.path.join(FOLDER, "page")
if not os.path.isfile(os.path.join(PAGE, "index.html")):
    sys.exit(f"There is no page in {FOLDER}: copy the whole folder.")
with open(os.path.join(FOLDER, "serve.json"), encoding="utf-8") as file:
    TYPES, HEADERS = map(json.load(file).get, ("types", "headers"))
# A second start finds out by this that the first one still runs.
SERVER = "PacerID/" + hashlib.sha256(FOLDER.encode()).hexdigest()[:16]

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--port", default="4180", metavar="N")
parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS")
parser.add_argument("--cert", metavar="FILE")
parser.add_argument("--key", metavar="FILE")
parser.add_argument("--no-open", action="store_true")
options = parser.parse_args()
if (not options.cert) != (not options.key):
    parser.error("--cert and --key go together.")
if not re.fullmatch("[0-9]{1,5}", options.port) or int(options.port) > 65515:
    parser.error(f"{options.port} is no port.")
options.port = int(options.port)


def path_of(address):
    """None where a name in it isn't a plain one: `..`, hidden files, other drives."""
    try:
        names = unquote(address, errors="strict")
    except UnicodeDecodeError:
        return None
    plain = re.fullmatch(r"(?:/[^./\\:\0][^/\\:\0]*)*/?", names)
    return os.path.join(PAGE, *names.strip("/").split("/")) if plain else None


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def reply(self, status, more):
        self.send_response(status)
        for name, value in {**HEADERS, **more}.items():
            self.send_header(name, value)
        self.end_headers()

    def do_GET(self):
        # As it was asked: newer Pythons make `//` at its begin one `/`.
        target = self.requestline.split()[1]
        address = target.split("?")[0]
        path = path_of(address)
        index = path and os.path.join(path, "index.html")
        if path and not address.endswith("/") and os.path.isfile(index):
            return self.reply(301, {"Location": address + "/" + target[len(address) :], "Content-Length": "0"})
        file = index if address.endswith("/") else path
        if not file or not os.path.isfile(file):
            return self.reply(404, {"Content-Length": "0"})
        with open(file, "rb") as content:
            stat = os.fstat(content.fileno())
            tag = f'"{stat.st_size}-{stat.st_mtime_ns // 1000000}"'
            if self.headers["If-None-Match"] == tag:
                return self.reply(304, {"ETag": tag})
            kind = TYPES.get(os.path.splitext(file)[1].lower(), "application/octet-stream")
            self.reply(200, {"Content-Type": kind, "Content-Length": str(stat.st_size), "ETag": tag})
            if self.command == "GET":
                shutil.copyfileobj(content, self.wfile, 1 << 16)

    do_HEAD = do_GET

    def __getattr__(self, name):
        if not name.startswith("do_"):
            raise AttributeError(name)
        # What comes with it isn't read.
        more = {"Allow": "GET, HEAD", "Content-Length": "0", "Connection": "close"}
        return lambda: self.reply(405, more)

    def version_string(self):
        return SERVER

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    # On Windows it would let two programs have one port.
    allow_reuse_address = os.name != "nt"
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        """A browser that left is no error."""


def address_at(port):
    name = socket.gethostname() if options.host in ("0.0.0.0", "::") else options.host
    return f"{'https' if options.cert else 'http'}://{f'[{name}]' if ':' in name else name}:{port}/"


def is_this_one(port):
    name = socket.gethostname() if options.host in ("0.0.0.0", "::") else options.host
    try:
        connection = http.client.HTTPConnection(name, port, timeout=2)
        if options.cert:
            connection = http.client.HTTPSConnection(name, port, timeout=2, context=ssl._create_unverified_context())
        connection.request("HEAD", "/")
        return connection.getresponse().getheader("Server") == SERVER
    except (OSError, http.client.HTTPException):
        return False


def open_browser(address):
    desktop = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if desktop and not options.no_open and sys.stdout.isatty() and not os.environ.get("SSH_CONNECTION"):
        webbrowser.open(address)


def listen():
    for port in range(options.port, options.port + 21):
        try:
            return Server((options.host, port), Answer)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                sys.exit(f"{options.host}, port {port}, can't be used: {error}")
        if is_this_one(port):
            print(f"PacerID Studio is at {address_at(port)} already.", flush=True)
            open_browser(address_at(port))
            sys.exit()
        print(f"Port {port} is taken. What a browser keeps for it isn't shown at the next one.", flush=True)
    sys.exit(f"Ports {options.port} to {port} are taken: choose another with --port.")


server = listen()
if options.cert:
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
    except OSError as error:
        sys.exit(f"The certificate can't be used: {error}")
    # Each connection's own thread shakes hands.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
address = address_at(server.server_address[1])
print(f"PacerID Studio is at {address}\nLeave this window open; Ctrl+C ends it.", flush=True)
if not options.cert and not re.match(r"127\.|localhost$|::1$", options.host):
    print("From other computers WebGPU, the camera and offline use need https: --cert and --key.", flush=True)
open_browser(address)
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    server.serve_forever()
except KeyboardInterrupt:
    pass
