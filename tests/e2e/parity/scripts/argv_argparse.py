"""A script without arguments: options have their defaults."""

import argparse
import sys

parser = argparse.ArgumentParser(prog="tool", description="Does something.")
parser.add_argument("--count", type=int, default=3)
parser.add_argument("name", nargs="?", default="nothing")
print(parser.parse_args(), len(sys.argv))
parser.print_usage()
