"""Writes Lua scripts as C: their texts, and the SHA-1 by which EVALSHA knows each."""

import hashlib
import pathlib
import sys


def c_lines(text):
    for line in text.splitlines(keepends=True):
        escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        yield f'    "{escaped}"'


def definition(path):
    text = path.read_text(encoding="ascii")
    sha = hashlib.sha1(text.encode("ascii")).hexdigest()
    body = "\n".join(c_lines(text))
    return (f'const struct bus_script bus_{path.stem}_script = {{\n    {{"{sha}", {len(sha)}}},\n'
            f"    {{\n{body},\n    {len(text)}}},\n}};\n")


def main(target, *sources):
    parts = ['#include "bus/script.h"\n'] + [definition(pathlib.Path(source)) for source in sources]
    pathlib.Path(target).write_text("\n".join(parts), encoding="ascii")


if __name__ == "__main__":
    main(*sys.argv[1:])
