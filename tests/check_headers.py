#!/usr/bin/env python3
"""Fails where a header of ours does not compile alone.

usage: check_headers.py SOURCE-ROOT BUILD-ROOT COMPILER [ARGUMENT…]
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

FOLDERS = (".", "common", "gateway", "publisher", "publisher/include", "tests/bench",
           "tests/support")
FLAGS = ["-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function",
         "-fsyntax-only", "-x", "c"]


def headers(root):
    for part in ("common", "gateway", "publisher", "tests"):
        yield from sorted((root / part).rglob("*.h"))


def compile_alone(command, header):
    """What the compiler says about a file that includes the header, twice, and nothing else."""
    text = f'#include "{header}"\n#include "{header}"\n'
    done = subprocess.run([*command, "-"], input=text, text=True, capture_output=True, check=False)
    return None if done.returncode == 0 else f"{header}:\n{done.stderr}"


def check(root, build, compiler):
    includes = [f"-I{base / folder}" for base in (root, build) for folder in FOLDERS]
    command = [*compiler, *FLAGS, *includes]
    found = list(headers(root))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda header: compile_alone(command, header.resolve()), found)
    return [result for result in results if result], len(found)


def main():
    root, build, *compiler = sys.argv[1:]
    complaints, count = check(pathlib.Path(root), pathlib.Path(build), compiler)
    print("\n".join(complaints))
    print(f"{count} headers, {len(complaints)} do not compile alone")
    return 1 if complaints or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
