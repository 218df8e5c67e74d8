#!/usr/bin/env python3
"""Fails where a function is longer than 100 lines, or more than one in ten is longer than 40.

Functions are found by the braces that the formatter puts at the beginning of lines.

usage: check_functions.py SOURCE-ROOT
"""
import pathlib
import re
import sys

MOST, MANY = 100, 40
NAME = re.compile(r"(\w+)\(")


def functions(text):
    """(name, line number, lines) of every function in a C source."""
    lines = text.splitlines()
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            head = []
            at = start - 2
            while at >= 0 and lines[at] and not lines[at].startswith(("}", "#", "/", " *")):
                head.insert(0, lines[at])
                at -= 1
            match = NAME.search(" ".join(head))
            yield match[1] if match else "?", start, number - start + 1
            start = None


def check(root):
    """(complaints, warnings, number of functions)"""
    complaints, warnings, count = [], [], 0
    for part in ("common", "gateway", "publisher", "tests"):
        for path in sorted((root / part).rglob("*.c")):
            text = path.read_text(encoding="utf-8")
            for name, number, length in functions(text):
                count += 1
                line = f"{path.relative_to(root)}:{number}: {name} has {length} lines"
                if length > MOST:
                    complaints.append(line)
                elif length > MANY:
                    warnings.append(line)
    if 10 * (len(complaints) + len(warnings)) > count:
        complaints.append(f"more than one function in ten has over {MANY} lines")
    return complaints, warnings, count


def main():
    complaints, warnings, count = check(pathlib.Path(sys.argv[1]))
    for line in warnings:
        print("warning:", line)
    for line in complaints:
        print("error:", line)
    print(f"{count} functions, {len(warnings)} over {MANY} lines, {len(complaints)} complaints")
    return 1 if complaints or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
