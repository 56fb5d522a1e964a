# expect: does not load: SystemExit: 7
import sys

sys.exit(7)
