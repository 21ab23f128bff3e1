"""The best small transformer for text under a limit on parameters: tokens in, one of four topics out.

python design_text.py
"""

import argparse

import torch
from torch import nn

import zcfast

VOCABULARY, LENGTH, TOPICS = 1000, 32, 4


class Reader(nn.Module):
    def __init__(self, width, heads, hidden, depth):
        super().__init__()
        self.tokens, self.places = (
            nn.Embedding(VOCABULARY, width),
            nn.Parameter(torch.randn(LENGTH, width) / width**0.5),
        )
        layer = nn.TransformerEncoderLayer(width, heads, hidden, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, TOPICS)

    def forward(self, text):
        return self.head(self.layers(self.tokens(text) + self.places).mean(1))


def build(trial):
    width = trial.suggest_int("width", 32, 128, step=32)
    hidden = width * trial.suggest_int("expansion", 1, 4)
    return Reader(width, trial.suggest_categorical("heads", [2, 4, 8]), hidden, trial.suggest_int("depth", 1, 6))


generator = torch.Generator().manual_seed(0)
texts = torch.randint(VOCABULARY, (16, LENGTH), generator=generator)
space = zcfast.Space(build, example=(texts, torch.randint(TOPICS, (16,), generator=generator)))

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--evaluations", type=int, default=288)
    parser.add_argument("--keep", type=int, default=32, help="how many the second stage scores")
    arguments = parser.parse_args()
    by = zcfast.designing.Stages("params", ("jacob_cov", "-grad_norm"), arguments.keep)
    found = zcfast.design(space, by=by, limits={"params": 400_000}, evaluations=arguments.evaluations)
    print(zcfast.designing.summary(found))
    for each in found.top(3):
        print(each)
