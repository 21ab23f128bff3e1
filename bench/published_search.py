"""The published example's search loops in plain Python, on dictionaries in place of the benchmark's own API.

After the notebook nas_examples.ipynb of https://github.com/SamsungLabs/zero-cost-nas, whose look-ups are slower.
"""

import copy
import random


class Published:
    """A space as lists of six operations, accuracies and scores by position, as the notebook keeps them."""

    def __init__(self, operations, valid, test, scores=None):
        self.index_to_spec = dict(enumerate(operations))
        self.spec_to_index = {str(spec): index for index, spec in self.index_to_spec.items()}
        self.valid, self.test, self.scores = valid, test, scores

    def random_spec(self):
        return random.choice(list(self.index_to_spec.values()))

    def mutate(self, old):
        position = random.randrange(len(old))
        choices = [operation for operation in range(5) if operation != old[position]]
        new = copy.copy(old)
        new[position] = random.choice(choices)
        return new

    def warm_pool(self, n):
        specs = [self.random_spec() for _ in range(n)]
        return sorted(specs, key=lambda spec: self.scores[self.spec_to_index[str(spec)]], reverse=True)

    def evolution(self, budget, pool_size=64, tournament_size=10, warmup=0):
        pool, best_valid, best_test = [], [0.0], [0.0]

        def train(spec):
            index = self.spec_to_index[str(spec)]
            pool.append((self.valid[index], spec))
            best_valid.append(max(best_valid[-1], self.valid[index]))
            best_test.append(max(best_test[-1], self.test[index]))

        first = self.warm_pool(warmup) if warmup else None
        for i in range(pool_size):
            train(first[i] if first else self.random_spec())
        for _ in range(budget - pool_size):
            places = sorted(random.sample(range(len(pool)), tournament_size))
            sample = tuple(tuple(pool)[place] for place in places)
            parent = sorted(sample, key=lambda member: member[0])[-1][1]
            train(self.mutate(parent))
            pool.pop(0)
        return best_valid[1:], best_test[1:]

    def random_search(self, budget, warmup=0):
        best_valid, best_test = [0.0], [0.0]
        first = self.warm_pool(warmup) if warmup else []
        for i in range(budget):
            index = self.spec_to_index[str(first[i] if i < len(first) else self.random_spec())]
            best_valid.append(max(best_valid[-1], self.valid[index]))
            best_test.append(max(best_test[-1], self.test[index]))
        return best_valid[1:], best_test[1:]
