"""Tokens, right and wrong."""

import base64
import hashlib
import hmac
import json
import time

from .world import SECRET


def segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(claims: dict, *, secret: str = SECRET, header: dict | None = None) -> str:
    head = segment(json.dumps(header or {"alg": "HS256", "typ": "JWT"}).encode())
    signed = f"{head}.{segment(json.dumps(claims).encode())}"
    digest = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{segment(digest)}"


def valid(sub: str, **claims) -> str:
    return token({"sub": sub, "exp": int(time.time()) + 3600} | claims)


def auth(text: str) -> str:
    return json.dumps({"token": text})


def wrong_ones(rng) -> list[str]:
    """Values of auth.token, as JSON."""
    soon = int(time.time()) + 3600
    good = {"sub": "x", "exp": soon}
    head, body, signature = valid("x").split(".")
    none = segment(b'{"alg":"none"}')
    tokens = [
        "", ".", "..", "a.b.c", head, f"{head}.{body}", f"{head}.{body}.", f"{head}..{signature}",
        f"{head}.{body}.{signature}.{signature}", f"{head}.{body}.{signature[::-1]}",
        token(good, secret="another secret of 32 bytes or more"),
        f"{none}.{body}.",
        token(good, header={"alg": "none"}), token(good, header={"alg": "HS512"}),
        token(good, header={"alg": ["HS256"]}), token(good, header={"alg": None}),
        token({"sub": "x", "exp": 1}), token({"sub": "x", "nbf": soon}), token({}),
        token({"sub": 7}), token({"sub": None}), token({"sub": ""}), token({"sub": "a,b"}),
        token({"sub": "x" * 129}), token({"sub": "\u0000"}), token({"sub": "x", "exp": "soon"}),
        token({"sub": "x", "address": {}}), token({"sub": "x", "address": "\n"}),
        token({"sub": "x", "pad": "y" * 8000}), "A" * 8192, "A" * 8193, "." * 8192, "\u00e9" * 4000,
        segment(b"[" * 3000) + "." + body + "." + signature,
        "".join(chr(rng.randrange(32, 127)) for _ in range(200)),
    ]
    shapes = ["null", "7", "true", "[]", "{}", '[["a"]]', '"\\u0000"', '"\\ud800"']
    return [json.dumps(text) for text in tokens] + shapes
