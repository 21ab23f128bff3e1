"""Score three networks of your own on one minibatch and rank them by every proxy.

Run: python examples/score_a_module.py
"""

import torch
from torch import nn

import zcfast


def network(width: int, depth: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    for _ in range(depth):
        layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def main() -> None:
    batch = zcfast.random_images(8, (3, 16, 16), classes=10, seed=0)
    proxies = ["grad_norm", "snip", "synflow", "jacob_cov"]
    print("width  depth  " + "  ".join(f"{name:>12}" for name in proxies))
    for width, depth in ((4, 1), (8, 2), (16, 4)):
        torch.manual_seed(0)
        scores = zcfast.score(network(width, depth), batch, proxies)
        print(f"{width:5}  {depth:5}  " + "  ".join(f"{score.value:12.5g}" for score in scores.values()))
        for name, score in scores.items():
            if score.status != "ok":
                print(f"  {name}: {score.status}: {score.reason}")


if __name__ == "__main__":
    main()
