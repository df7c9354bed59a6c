"""A missing argument ends the script with a message."""

import argparse

parser = argparse.ArgumentParser(prog="tool")
parser.add_argument("name")
parser.parse_args()
