"""Command line of the comparison, ``python -m bench compare``."""

import argparse
import os
import shlex
import sys
import tempfile
import time
from pathlib import Path

from bench.compare import plots, record, report
from bench.compare.case import run_case
from bench.compare.cases import CASES
from bench.compare.contenders import FULL, QUICK, Setting
from bench.compare.machine import facts, peer_version
from bench.compare.peers import COMMAND_PEERS, SNIPPET_PEERS, Unavailable, find_peer
from bench.compare.workflows.files import find_workflows


def main() -> int:
    """Run the command line. Returns 1 if a contender failed; a missed target is no failure."""
    options = _options()
    if options.source:
        comparison = record.load(options.source.read_bytes())
    else:
        comparison = _compare(options)
        print()
    for line in report.verdict_lines(comparison):
        print(line)
    if options.json:
        options.json.write_bytes(record.dump(comparison))
    if options.plots:
        try:
            print("plots:", *plots.draw(comparison, options.plots))
        except Unavailable as error:
            print(f"without plots: {error}")
    if options.results:
        earlier = options.results.read_text(encoding="utf-8") if options.results.exists() else ""
        options.results.write_text(report.results_page(comparison, earlier), encoding="utf-8")
    failed = [why for result in comparison.results for why in result.missing.values() if why.startswith("failed")]
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench")
    commands = parser.add_subparsers(dest="command", required=True)
    compare = commands.add_parser("compare", help="whole processes side by side")
    compare.add_argument("cases", nargs="*", metavar="CASE", help=f"one of {', '.join(CASES)} (default: all)")
    compare.add_argument("--quick", action="store_true", help="tiny sizes: shows that everything runs, not how fast")
    compare.add_argument("--rounds", type=int, metavar="N", help="runs of each contender (default: set by the case)")
    compare.add_argument(
        "--workflows",
        metavar="DIR",
        help="folder with published workflows (default: FASTRUN_WORKFLOWS, else look-alikes)",
    )
    compare.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    compare.add_argument("--plots", type=Path, metavar="DIR", help="draw two plots; needs matplotlib")
    compare.add_argument(
        "--results", type=Path, metavar="FILE", help="write a page in Markdown; its sections by hand are kept"
    )
    compare.add_argument(
        "--from", dest="source", type=Path, metavar="FILE", help="measure nothing: read the figures that --json wrote"
    )
    options = parser.parse_args()
    for name in options.cases:
        if name not in CASES:
            compare.error(f"{name}: no such case")
    if options.rounds is not None and options.rounds < 1:
        compare.error("--rounds must be 1 or more")
    # Before anything is measured.
    for path in (options.json, options.results):
        if path and not path.parent.is_dir():
            compare.error(f"{path.parent}: no such folder")
    if not options.source and "workflows" in (options.cases or CASES):
        try:
            find_workflows(options.workflows, quick=options.quick)
        except (OSError, ValueError) as error:
            compare.error(str(error))
    return options


def _compare(options: argparse.Namespace) -> record.Comparison:
    start = time.monotonic()
    found = {**facts(), "load before": f"{os.getloadavg()[0]:.1f}"}
    peers = {find_peer(module).NAME: peer_version(module) for module in (*COMMAND_PEERS, *SNIPPET_PEERS)}
    for key, value in {**found, **peers}.items():
        print(f"{key}: {value}")
    print()
    print(report.HEADER, flush=True)
    sizes = QUICK if options.quick else FULL
    results = []
    for name in options.cases or CASES:
        with tempfile.TemporaryDirectory(prefix="fastrun-bench-") as folder:
            for case in CASES[name](Setting(folder, sizes, options.workflows)):
                result = run_case(case, options.rounds or min(case.rounds, sizes.rounds))
                results.append(result)
                print(*report.result_lines(result), sep="\n", flush=True)
    # tox passes absolute paths; below this folder they become relative, so that the line is right on any machine.
    typed = [argument.removeprefix(os.path.join(os.getcwd(), "")) for argument in sys.argv[1:]]
    command = shlex.join(["python", "-m", "bench", *typed])
    return record.Comparison(found, peers, command, options.quick, time.monotonic() - start, results)


if __name__ == "__main__":
    sys.exit(main())
