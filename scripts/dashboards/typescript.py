"""Compiles each dashboard as a value of Grafana's own TypeScript types: a field that they do not know, or of another type, is an error.

    typescript.py FOLDER    with @grafana/schema and typescript in its node_modules
"""

import json
import pathlib
import subprocess
import sys

import schema

# JSON has the values of an enumeration where TypeScript has its members.
HEAD = """import type { Dashboard } from "@grafana/schema";
type Json<T> = T extends string ? `${T}` : T extends (infer U)[] ? Json<U>[] : T extends object ? { [K in keyof T]: Json<T[K]> } : T;
"""
OPTIONS = "--noEmit --strict --skipLibCheck --moduleResolution bundler --module esnext --target es2022".split()


def main():
    folder = pathlib.Path(sys.argv[1])
    parts = [HEAD]
    for file in sorted(schema.DASHBOARDS.glob("*.json")):
        board = json.loads(file.read_text())
        for each in board["annotations"]["list"]:
            # Prometheus' own, which the dashboard's types leave to it.
            for key in {"expr", *schema.OF_THE_SOURCE}:
                each.pop(key, None)
        parts.append(f"export const {file.stem}: Json<Dashboard> = {json.dumps(board, indent=1)};\n")
    (folder / "dashboards.ts").write_text("".join(parts))
    sys.exit(subprocess.run(["node", "node_modules/typescript/bin/tsc", *OPTIONS, "dashboards.ts"], cwd=folder, check=False).returncode)


if __name__ == "__main__":
    main()
