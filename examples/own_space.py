"""A search space of your own: a function from choices to a network. Scores all of it, then searches it.

python own_space.py
zcfast score own_space:space --proxies synflow,snip,params --sample 20 --out s.parquet
"""

import torch
from torch import nn

import zcfast
from zcfast import search


def build(trial):  # the protocol of Optuna's trials: the same function runs in a study
    width = trial.suggest_int("width", 8, 32, step=8)
    layers, channels = [], 3
    for i in range(trial.suggest_int("depth", 1, 3)):
        kernel = trial.suggest_categorical(f"kernel{i}", [1, 3, 5])
        layers += [nn.Conv2d(channels, width, kernel, padding=kernel // 2), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


space = zcfast.Space(build, example=tuple(zcfast.random_images(16, (3, 16, 16), classes=10, seed=0)))

if __name__ == "__main__":
    scores = zcfast.score_architectures(space, ["synflow", "params"], space.enumerate(), None)
    for row in scores.top(3, by="synflow").tolist():
        print(
            f"synflow {scores['synflow'][row]:.2f}  params {scores['params'][row]:,.0f}  {scores.cells[row].texts[0]}"
        )

    zcfast.spaces.register(space, "own_space")

    def train(cells):  # yours goes here: one accuracy an architecture, higher is better
        return -torch.tensor([float(sum(p.numel() for p in space.build(text).parameters())) for text in cells.texts])

    found = search.run(search.ageing_evolution(pool=8, tournament=3), space, train, budget=20, runs=1)
    best = space.enumerate()[found.rows[0, int(found.best[0, -1])]]
    print(f"ageing evolution, 20 trainings: {best.texts[0]}")
