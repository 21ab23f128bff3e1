"""The best cells of NAS-Bench-201 under a latency, by a column of one's own: measured milliseconds of every cell.

Without --costs the milliseconds are made up from sizes. python design_latency.py [--costs latency.csv --name fpga]
"""

import argparse

import zcfast


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--costs", help="CSV or Parquet with a column index, hash or architecture and one of numbers")
    parser.add_argument("--name", default="fpga", help="of the column")
    parser.add_argument("--most", type=float, default=4.7, help="milliseconds")
    arguments = parser.parse_args()
    space = zcfast.space("nasbench201")
    if arguments.costs:
        milliseconds = zcfast.table(space, arguments.costs).query(range(len(space)), arguments.name)
    else:
        milliseconds = 2 + space.flops(space.enumerate()) / 40e6
    found = zcfast.design(space, limits={arguments.name: (milliseconds, arguments.most)})
    print(zcfast.designing.summary(found))
    for each in found.pareto(arguments.name)[:5]:
        print(each)


if __name__ == "__main__":
    main()
