#!/usr/bin/env python3
"""The examples in deploy/ work: the unit file, and nginx before a gateway.

usage: deploy_test.py GATEWAY
"""
import base64
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

GATEWAY = pathlib.Path(sys.argv[1]).resolve()
DEPLOY = pathlib.Path(__file__).resolve().parent.parent / "deploy"
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
ORIGIN = {"Origin": "https://app.example.com"}
HANDSHAKE = "/socket.io/?EIO=4&transport="
MAIN = """
daemon off; master_process off; pid {scratch}/nginx.pid; error_log stderr warn;
events {{ }}
http {{
    access_log {scratch}/access.log;
    client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy; fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi; scgi_temp_path {scratch}/scgi;
    include {scratch}/site.conf;
}}
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def replace(text, *pairs):
    """Each pattern must be there: the test is about the example as it is."""
    for pattern, new in pairs:
        text, count = re.subn(pattern, new, text)
        assert count > 0, pattern
    return text


@unittest.skipUnless(shutil.which("systemd-analyze"), "needs systemd")
class Unit(unittest.TestCase):
    def test_is_accepted(self):
        with tempfile.TemporaryDirectory() as scratch:
            unit = pathlib.Path(scratch) / "guesslyfe-gateway.service"
            text = (DEPLOY / unit.name).read_text(encoding="utf-8")
            unit.write_text(replace(text, ("/usr/local/bin/guesslyfe-gateway", str(GATEWAY))), encoding="utf-8")
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
            self.assertNotIn(unit.name, done.stdout + done.stderr)
            self.assertEqual(done.returncode, 0, done.stderr)


@unittest.skipUnless(NGINX and shutil.which("openssl"), "needs nginx and openssl")
class Nginx(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.gateway, gateway_port = cls.start_gateway()
        cls.addClassCleanup(cls.stop, cls.gateway)
        cls.port = free_port()
        cls.configure(gateway_port)
        cls.nginx = subprocess.Popen(cls.command(), stderr=subprocess.PIPE)
        cls.addClassCleanup(cls.stop, cls.nginx)
        cls.wait()

    @classmethod
    def start_gateway(cls):
        environment = {"PORT": "0", "HOST": "127.0.0.1", "OPS_PORT": "0", "JWT_SECRET": "x" * 32, "REDIS_PORT": str(free_port()),
                       "DRAIN_DELAY": "0", "DRAIN_WINDOW": "0"}
        gateway = subprocess.Popen([GATEWAY], env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for line in gateway.stderr:
            if match := re.search(rb"msg=listening port=(\d+)", line):
                return gateway, int(match[1])
        raise AssertionError("the gateway did not start")

    @classmethod
    def configure(cls, gateway_port):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
                        "-keyout", cls.scratch / "key", "-out", cls.scratch / "certificate"], check=True, capture_output=True)
        site = replace((DEPLOY / "nginx.conf").read_text(encoding="utf-8"),
                       (r"/etc/ssl/certs/\S+\.pem", str(cls.scratch / "certificate")),
                       (r"/etc/ssl/private/\S+\.key", str(cls.scratch / "key")),
                       (r"listen 443 ssl", f"listen 127.0.0.1:{cls.port} ssl"), (r" +listen \[::\].*\n", ""),
                       (r"(?m)^    server 127.0.0.1:3000 ", f"    server 127.0.0.1:{gateway_port} "))
        (cls.scratch / "site.conf").write_text(site, encoding="utf-8")
        (cls.scratch / "main.conf").write_text(MAIN.format(scratch=cls.scratch), encoding="utf-8")

    @classmethod
    def command(cls, *flags):
        return [NGINX, "-p", cls.scratch, "-e", "stderr", "-c", cls.scratch / "main.conf", *flags]

    @classmethod
    def wait(cls):
        while True:
            try:
                socket.create_connection(("127.0.0.1", cls.port)).close()
                return
            except ConnectionRefusedError:
                assert cls.nginx.poll() is None, cls.nginx.stderr.read()

    @staticmethod
    def stop(process):
        process.terminate()
        process.communicate(timeout=20)

    def connect(self):
        context = ssl.create_default_context(cafile=self.scratch / "certificate")
        context.check_hostname = False
        client = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=context)
        self.addCleanup(client.close)
        return client

    def request(self, client, method, path, body=None):
        client.request(method, path, body, ORIGIN)
        response = client.getresponse()
        return response.status, response.headers, response.read().decode()

    def open_session(self, client):
        status, _, body = self.request(client, "GET", HANDSHAKE + "polling")
        self.assertEqual((status, body[:1]), (200, "0"))
        return HANDSHAKE + "polling&sid=" + json.loads(body[1:])["sid"]

    def test_its_configuration_is_accepted(self):
        done = subprocess.run(self.command("-t"), capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("[warn]", done.stderr)

    def test_a_polling_client_gets_through(self):
        client = self.connect()
        session = self.open_session(client)
        self.assertEqual(self.request(client, "POST", session, "40")[2], "ok")
        status, _, body = self.request(client, "GET", session)
        self.assertEqual(status, 200)
        self.assertIn('42["error",{"message":"Authentication required"}]', body)

    def test_a_websocket_gets_through(self):
        client = self.connect()
        key = base64.b64encode(os.urandom(16)).decode()
        client.request("GET", HANDSHAKE + "websocket", headers=ORIGIN | {
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key})
        stream = client.sock.makefile("rb")
        self.assertIn(b" 101 ", stream.readline())
        while stream.readline() != b"\r\n":
            pass
        self.assertEqual(stream.read(1), b"\x81")
        self.assertLess(stream.read(1)[0], 127)
        self.assertIn(b'0{"sid"', stream.read(20))

    def test_the_gateway_refuses_what_is_too_large(self):
        client = self.connect()
        session = self.open_session(client)
        status, headers, _ = self.request(client, "POST", session, "4" + "x" * 1_000_000)
        self.assertEqual(status, 413)
        self.assertEqual(headers["Access-Control-Allow-Origin"], ORIGIN["Origin"])

    def test_no_session_id_is_logged(self):
        self.open_session(self.connect())
        self.assertEqual((self.scratch / "access.log").read_text(), "")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
