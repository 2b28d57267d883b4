"""`python -m keeper.devnet`: run the development network until it is told to stop."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from keeper.devnet.server import DevnetServer
from keeper.devnet.state import StateError


def main() -> int:
    """Exit codes: 0 stopped by a signal, 1 the port is taken or the state file is not usable."""
    parser = argparse.ArgumentParser(prog="python -m keeper.devnet", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8400, help="0 takes a free one")
    parser.add_argument("--state", type=Path, required=True, help="file that the chain survives in")
    parser.add_argument("--ledger-close-s", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not 0.01 <= args.ledger_close_s <= 60:
        parser.error("--ledger-close-s must lie between 0.01 and 60")
    try:
        server = DevnetServer(args.host, args.port, args.state, args.ledger_close_s, args.seed)
    except (OSError, StateError) as error:
        sys.stderr.write(f"devnet: cannot start on {args.host}:{args.port}: {error}\n")
        return 1
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server.start()
    sys.stdout.write(f"devnet: {server.url}, ledger {server.chain.state.ledger}, state in {args.state}\n")
    sys.stdout.flush()
    stop.wait()
    server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
