#!/usr/bin/env python3
"""Writes everything that follows from the event catalogue (events/*.json).

    generate.py KIND OUTPUT   one file, for the build
    generate.py --write       the committed files under docs/
    generate.py --check       whether they are what would be written
"""

import pathlib
import sys

sys.dont_write_bytecode = True

from generators import c_publisher, c_tables, catalogue, markdown, schemas, typescript  # noqa: E402

BUILD = {
    "tables": c_tables.generate,
    "publisher-header": c_publisher.header,
    "publisher-source": c_publisher.source,
}
COMMITTED = {
    "docs/events.md": markdown.generate,
    "docs/events.schema.json": schemas.json_schema,
    "docs/asyncapi.json": schemas.asyncapi,
    "docs/typescript/guesslyfe-events.d.ts": typescript.generate,
}
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_committed(events):
    for name, generate in COMMITTED.items():
        write(ROOT / name, generate(events))
    return 0


def check_committed(events):
    stale = [
        name
        for name, generate in COMMITTED.items()
        if not (ROOT / name).exists() or (ROOT / name).read_text(encoding="utf-8") != generate(events)
    ]
    for name in stale:
        print(f"{name} is not what the catalogue says; run common/schema/generate.py --write", file=sys.stderr)
    return 1 if stale else 0


def main(args):
    events = catalogue.load()
    if args == ["--write"]:
        return write_committed(events)
    if args == ["--check"]:
        return check_committed(events)
    if len(args) == 2 and args[0] in BUILD:
        write(pathlib.Path(args[1]), BUILD[args[0]](events))
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
