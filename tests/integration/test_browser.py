"""A real browser: pages of an allowed and of a foreign origin, over each transport."""

import json
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue

import pytest

from harness.tokens import mint

CHROMIUM = shutil.which("chromium")
CLIENT = Path(__file__).parents[1] / "clients/node_modules/socket.io-client/dist/socket.io.min.js"
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]
SECONDS = 60

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium (deploy/install-dependencies browser installs it)")

PAGE = """<!doctype html><meta charset="utf-8"><script src="client.js"></script><script>
const tell = (what, data) =>
  fetch("/tell", { method: "POST", body: JSON.stringify({ what, data: data ?? null }) });
const socket = io("%(url)s", { auth: { token: "%(token)s" }, transports: %(transports)s,
                               withCredentials: true, reconnection: false });
socket.on("connect_error", (error) => tell("refused", error.message));
socket.on("connected", (hello) => {
  const subscribe = () => socket.emit("subscribe", { room: "market", id: "%(market)s" }, (answer) =>
    tell("subscribed", { hello, answer, transport: socket.io.engine.transport.name }));
  if (%(upgrades)s && socket.io.engine.transport.name !== "websocket") {
    socket.io.engine.once("upgrade", subscribe);
  } else {
    subscribe();
  }
});
socket.on("market:trade", (event) => tell("trade", event));
</script>"""


class Site(ThreadingHTTPServer):
    """Serves one page with the official client, and hears what the page tells."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.page = ""
        self.told = Queue()
        self.origin = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def next(self, what: str):
        """What the page tells next, which must be this."""
        try:
            told = self.told.get(timeout=SECONDS)
        except Empty:
            pytest.fail(f"the page told nothing; awaited: {what}")
        assert told["what"] == what, told
        return told["data"]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        known = {"/": ("text/html", self.server.page.encode()),
                 "/client.js": ("text/javascript", CLIENT.read_bytes())}
        content_type, body = known.get(self.path, ("text/plain", b""))
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        self.server.told.put(told)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    site = Site()
    yield site
    site.shutdown()
    site.server_close()


@pytest.fixture
def visit(site, tmp_path):
    """visit(gateway, market, transports, page): a browser that opens the page; ended after the test."""
    browsers = []

    def open_page(gateway, market: str, transports: list[str], page: str = PAGE) -> None:
        site.page = page % {
            "url": gateway.url, "token": mint("browser"), "market": market,
            "transports": json.dumps(transports), "upgrades": json.dumps(len(transports) > 1)}
        with open(tmp_path / "chromium.log", "wb") as log:
            browsers.append(subprocess.Popen(
                [CHROMIUM, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", "--remote-debugging-port=0",
                 site.origin + "/"], stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    yield open_page
    for browser in browsers:
        browser.terminate()
        browser.wait(SECONDS)


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]], ids="+".join)
def test_a_page_hears_of_a_trade(start_gateway, site, visit, trade, fresh, transports):
    gateway = start_gateway(CORS_ALLOWED_ORIGINS=site.origin)
    visit(gateway, fresh.market, transports)
    subscribed = site.next("subscribed")
    assert subscribed["hello"]["rooms"] == ["user:browser", "global:all"]
    assert subscribed["answer"] == {"success": True, "room": f"market:{fresh.market}",
                                    "message": f"Subscribed to market:{fresh.market}"}
    assert subscribed["transport"] == transports[-1]
    trade(7)
    assert site.next("trade")["data"]["tradeId"] == "trade7"


RECOVERING_PAGE = """<!doctype html><meta charset="utf-8"><script src="client.js"></script><script>
const tell = (what, data) =>
  fetch("/tell", { method: "POST", body: JSON.stringify({ what, data: data ?? null }) });
const socket = io("%(url)s", { auth: { token: "%(token)s" }, transports: %(transports)s, withCredentials: true,
                               reconnectionDelay: 100, reconnectionDelayMax: 200 });
let trades = [];
socket.on("market:trade", (event) => trades.push(event.data.tradeId));
socket.on("disconnect", (reason) => tell("disconnected", reason));
socket.on("connected", (hello) => {
  if (socket.recovered) {
    tell("recovered", { rooms: hello.rooms, trades });
  } else {
    socket.emit("subscribe", { room: "market", id: "%(market)s" }, (answer) => tell("subscribed", answer.success));
  }
});
</script>"""


def test_a_page_recovers_after_its_gateway_was_killed(start_gateway, site, visit, trade, fresh):
    gateway = start_gateway(CORS_ALLOWED_ORIGINS=site.origin)
    visit(gateway, fresh.market, ["polling", "websocket"], RECOVERING_PAGE)
    assert site.next("subscribed") is True
    gateway.kill()
    site.next("disconnected")
    trade(1)
    trade(2)
    start_gateway(CORS_ALLOWED_ORIGINS=site.origin, PORT=gateway.port)
    recovered = site.next("recovered")
    assert recovered["trades"] == ["trade1", "trade2"]
    assert set(recovered["rooms"]) == {"user:browser", "global:all", f"market:{fresh.market}"}


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_a_page_of_another_origin_gets_nothing(start_gateway, site, visit, fresh, transport):
    gateway = start_gateway(CORS_ALLOWED_ORIGINS="https://app.example.com")
    visit(gateway, fresh.market, [transport])
    assert site.next("refused") in ("xhr poll error", "websocket error")
