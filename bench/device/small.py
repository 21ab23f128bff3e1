"""Every kernel on small arguments, compared with the CPU: what compute-sanitizer watches.

python -m bench.device.small [--rehearse]
"""

import sys

from bench.device.card import Card, StandIn
from bench.device.cases import cases
from bench.device.kernels import compare, to_device


def main() -> None:
    card = StandIn() if "--rehearse" in sys.argv[1:] else Card()
    wrong = [case.name for case in cases(small=True) if not compare(case, to_device(case.arguments, card.device))["ok"]]
    if wrong:
        sys.exit(f"not the CPU's result: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
