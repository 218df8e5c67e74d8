"""The asker notices a slow answer, a bad one and none at all.

usage: health_test.py HEALTH-PROGRAM
"""

import http.server
import json
import pathlib
import subprocess
import sys
import threading
import time
import unittest

PROGRAM = pathlib.Path(sys.argv.pop(1))
SLOW_SECONDS = 0.15


class Gateway:
    """Answers GET /healthz, after a while if it is to, with a status."""

    def __init__(self, seconds=0.0, status=200):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                time.sleep(seconds)
                body = b'{"status":"ok","sessions":7}\n'
                self.send_response(status if self.path == "/healthz" else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # whoever asked does not wait for the answer
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.name = f"127.0.0.1:{self.server.server_port}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Health(unittest.TestCase):
    def setUp(self):
        self.process = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)
        self.addCleanup(self.end)

    def end(self):
        self.process.stdin.close()
        self.assertEqual(self.process.wait(5), 0)
        self.process.stdout.close()

    def gateway(self, **facts):
        gateway = Gateway(**facts)
        self.addCleanup(gateway.stop)
        self.process.stdin.write(f"add {gateway.name}\n")
        return gateway

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        return json.loads(self.process.stdout.readline())

    def test_all_are_asked_again_and_again(self):
        for _ in range(3):
            self.gateway()
        self.ask("take")
        time.sleep(1.6)
        taken = self.ask("take")
        self.assertEqual((taken["gateways"], taken["failed"]), (3, 0))
        self.assertGreaterEqual(taken["least_asked"], 2)
        self.assertLessEqual(taken["asked"], 3 * 8)
        self.assertEqual(self.ask("sessions")["sessions"], 21)
        self.assertLess(self.ask("take")["asked"], 3)

    def test_a_slow_one_is_named(self):
        self.gateway()
        slow = self.gateway(seconds=SLOW_SECONDS)
        time.sleep(1.2)
        taken = self.ask("take")
        self.assertGreaterEqual(taken["late"], 1)
        self.assertGreaterEqual(taken["max_us"], SLOW_SECONDS * 1e6)
        self.assertEqual(taken["slowest"], slow.name)
        self.assertEqual(taken["failed"], 0)

    def test_one_that_does_not_answer_is_slow(self):
        self.gateway(seconds=3)
        time.sleep(1)
        self.assertGreaterEqual(self.ask("take")["late"], 1)

    def test_a_bad_answer_is_none(self):
        self.gateway(status=503)
        time.sleep(1)
        taken = self.ask("take")
        self.assertGreaterEqual(taken["failed"], 1)
        self.assertEqual(taken["asked"], 0)

    def test_one_that_is_gone_fails_and_one_that_is_dropped_does_not(self):
        gateway = self.gateway()
        time.sleep(0.6)
        gateway.stop()
        self.process.stdin.write(f"drop {gateway.name}\n")
        self.assertEqual(self.ask("take")["failed"], 0)
        self.process.stdin.write(f"add {gateway.name}\n")
        time.sleep(0.6)
        self.assertGreaterEqual(self.ask("take")["failed"], 1)

    def test_nonsense_is_refused(self):
        for command in ("add 127.0.0.1", "add 127.0.0.1:0", "drop 127.0.0.1:1", "ask"):
            done = subprocess.run([PROGRAM], input=f"{command}\n", text=True, check=False,
                                  capture_output=True)
            self.assertEqual((done.returncode, done.stderr),
                             (1, f"health: this cannot be done: {command}\n"))


if __name__ == "__main__":
    unittest.main()
