#!/usr/bin/env python3
"""Fails where an #include points to a room on the right, or is not qualified by its folder.

usage: check_layers.py SOURCE-ROOT
"""
import pathlib
import re
import sys

# Rooms of each part in their order: each may include itself and those before it.
COMMON = ["util", "log", "config", "schema", "loop", "stream", "redis", "bus"]
GATEWAY = ["net", "http", "websocket", "engineio", "socketio", "app", "ops", "workers"]
# Libraries that only these rooms may know; what they are good for is offered by the room.
OUTSIDE = {
    "jwt.h": ["app"],
    "hiredis": ["redis", "bus", "cli"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def allowed_rooms(path):
    """The rooms whose headers the file may include; None: any, it is a test or a tool."""
    part, *rest = path.parts
    room = rest[0] if len(rest) > 1 else None
    if part == "common":
        return COMMON[: COMMON.index(room) + 1] if room in COMMON else None
    if part == "gateway":
        reach = GATEWAY.index(room) + 1 if room in GATEWAY else len(GATEWAY)
        return COMMON + GATEWAY[:reach]
    if part == "publisher":
        return COMMON
    if part == "tests" and room == "conformance":
        return COMMON + GATEWAY[: GATEWAY.index("socketio") + 1]
    return None


def is_test(path):
    return path.parts[0] == "tests" or path.name.endswith("_test.c")


def complaint(root, path, quoted, name):
    """What is wrong with this #include of the file, or None."""
    first = name.split("/")[0]
    part = path.parts[0]
    ours = first in COMMON + GATEWAY and "/" in name
    if first in OUTSIDE and not is_test(path):
        room = path.parts[1] if len(path.parts) > 2 else path.parts[0]
        return None if room in OUTSIDE[first] else f"only {', '.join(OUTSIDE[first])} may include it"
    if ours and not quoted:
        return "our own headers are included with quotation marks"
    if quoted and "/" not in name:
        support = is_test(path) and (root / "tests/support" / name).exists()
        alone = len(path.parts) == 2 or part in ("publisher", "tests")
        return None if support or alone else "it is not qualified by its folder"
    if first == "publisher" and part in ("common", "gateway"):
        return "the publisher is not known here"
    if name.startswith("publisher/cli/") and path.parts[:2] != ("publisher", "cli"):
        return "the library does not know its command"
    if not ours:
        return None
    allowed = allowed_rooms(path)
    if allowed is not None and first not in allowed:
        return "that room is on the right"
    return None


def sources(root):
    for part in ("common", "gateway", "publisher", "tests"):
        for path in sorted((root / part).rglob("*")):
            if path.suffix in (".c", ".h") and path.is_file():
                yield path.relative_to(root)


def check(root):
    complaints = []
    for path in sources(root):
        text = (root / path).read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            match = INCLUDE.match(line)
            why = match and complaint(root, path, match[1] == '"', match[2])
            if why:
                complaints.append(f"{path}:{number}: {match[2]}: {why}")
    return complaints


def main():
    complaints = check(pathlib.Path(sys.argv[1]))
    print("\n".join(complaints) if complaints else "all includes point to the left")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
