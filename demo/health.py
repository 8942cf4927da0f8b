"""Asks a service whether it is well: `python -m demo.health URL`. For containers without curl."""

import sys
import urllib.request

if __name__ == "__main__":
    with urllib.request.urlopen(sys.argv[1], timeout=2) as answer:
        sys.exit(answer.status != 200)
