import os
import sys

print("script", sys.argv, os.path.basename(__file__))
