"""`export`: a finished run as one HTML file to send."""

import argparse
import sys
from pathlib import Path
from typing import Any

from milr_core.errors import InputError
from milr_core.export import to_html
from milr_core.export.run import opened


def add(commands: Any) -> None:
    command = commands.add_parser("export", help="write a finished run as one HTML file, to send")
    command.add_argument("run_", type=Path, metavar="RUN", help="the folder of a run bundle, or a zip of it")
    command.add_argument("--html", type=Path, metavar="FILE", help="the file; default: RUN.html")
    command.add_argument("--out", type=Path, metavar="FOLDER", help="where RUN.html goes, if not here")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.html and args.out:
        raise InputError("Give --html FILE or --out FOLDER, not both.")
    source: Path = args.run_
    name = source.resolve().name if source.is_dir() else source.stem
    file: Path = args.html or (args.out or Path()) / f"{name}.html"
    with opened(source) as bundle:
        html = to_html(bundle)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(html, encoding="utf-8")
    except OSError as error:
        raise InputError(f"Cannot write {file}: {error}.") from error
    sys.stdout.write(f"{file}\n")
    return 0
