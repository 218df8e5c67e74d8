"""Writes a Lua script as C: its text, and the SHA-1 by which EVALSHA knows it."""

import hashlib
import sys


def c_lines(text):
    for line in text.splitlines(keepends=True):
        escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        yield f'    "{escaped}"'


def main(source, target):
    with open(source, encoding="ascii") as file:
        text = file.read()
    sha = hashlib.sha1(text.encode("ascii")).hexdigest()
    with open(target, "w", encoding="ascii") as file:
        file.write('#include "bus/script.h"\n\n')
        file.write(f'const struct str bus_publish_sha = {{"{sha}", {len(sha)}}};\n')
        file.write("const struct str bus_publish_script = {\n")
        file.write("\n".join(c_lines(text)))
        file.write(f",\n    {len(text)},\n}};\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
