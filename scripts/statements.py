"""Prints the SQL statements of a version of the fleet, as its sources have them.

    statements.py COMMIT >tests/data/n-1/statements.sql

A test prepares each of them on today's schema. What is put together in ways that this does not follow is named on
stderr.
"""

import re
import subprocess
import sys

CRATES = ["scheduler/src", "workers/src", "console/src", "shared/src"]
LITERAL = r'"((?:[^"\\]|\\.)*)"'
BEGIN = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")


def git(*arguments):
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def code_of(text):
    """Without tests and comments."""
    return re.sub(r"^\s*//.*$", "", text.split("#[cfg(test)]\nmod tests")[0], flags=re.M)


def unescaped(literal):
    return re.sub(r"\\\n\s*", "", literal).replace('\\"', '"').replace("\\\\", "\\")


def constants(code):
    found = re.findall(rf"(?:const|static) (\w+): (?:&str|u32|i64) =\s*(?:{LITERAL}|(\d+))\s*;", code)
    return {name: unescaped(text) or number for name, text, number in found}


def statements(code, known):
    """Each statement of a file, and the constants that are only parts of one."""
    parts = set()
    for names in re.findall(r"\[((?:[A-Z_]+, )+[A-Z_]+)\]\.concat\(\)", code.replace('if freshness.is_some() { SEEN } else { "" }', "SEEN")):
        names = names.split(", ")
        parts.update(names)
        yield "".join(known[name] for name in names), parts
    for match in re.finditer(LITERAL, code):
        text, before, after = unescaped(match[1]), code[: match.start()].rstrip(), code[match.end():]
        if before.endswith("format!("):
            named = re.findall(r"(?<!\{)\{(\w+)\}(?!\})", text)
            unnamed = iter(re.findall(r"(?:\w+::)*([A-Z_]+)", after[: after.index(")")]))
            if not BEGIN.match(text) and not (named and text.startswith("{") and BEGIN.match(known.get(named[0], ""))):
                continue
            parts.update(name for name in named if BEGIN.match(known.get(name, "")))

            def value(placeholder):
                return known[placeholder[1] or next(unnamed)]

            try:
                text = re.sub(r"(?<!\{)\{(\w*)\}(?!\})", value, text).replace("{{", "{").replace("}}", "}")
            except (KeyError, StopIteration):
                print(f"left out: {' '.join(text.split())[:90]}", file=sys.stderr)
                continue
        elif not BEGIN.match(text):
            continue
        yield text, parts


def main():
    commit = sys.argv[1]
    names = git("ls-tree", "-r", "--name-only", commit, *CRATES).split()
    files = {name: code_of(git("show", f"{commit}:{name}")) for name in names if name.endswith(".rs") and "/tests" not in name}
    everywhere = {}
    for code in files.values():
        everywhere |= constants(code)
    print(f"-- Every statement of {commit}, made by scripts/statements.py. Each ends with an empty line.")
    for name, code in files.items():
        found, parts = [], set()
        for text, parts in statements(code, everywhere | constants(code)):
            found.append(text)
        fragments = {(everywhere | constants(code))[part] for part in parts}
        for text in found:
            if text not in fragments:
                lines = [line.strip() for line in text.strip().splitlines()]
                print(f"\n-- {name}\n" + "\n".join(line for line in lines if line))


main()
