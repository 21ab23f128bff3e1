"""NAS-Bench-101's definitions written out slowly in plain Python, to compare with."""

import hashlib
import itertools


def graph_hash(matrix, labels) -> str:
    """hash_module of the benchmark: labels are -1 for the input, -2 for the output, else operation codes."""
    n = len(labels)
    hashes = [
        hashlib.md5(str((sum(matrix[v]), sum(row[v] for row in matrix), labels[v])).encode()).hexdigest()
        for v in range(n)
    ]
    for _ in range(n):
        hashes = [
            hashlib.md5(
                (
                    "".join(sorted(hashes[w] for w in range(n) if matrix[w][v]))
                    + "|"
                    + "".join(sorted(hashes[w] for w in range(n) if matrix[v][w]))
                    + "|"
                    + hashes[v]
                ).encode()
            ).hexdigest()
            for v in range(n)
        ]
    return hashlib.md5(str(sorted(hashes)).encode()).hexdigest()


def matrix_of(n, edges):
    return [[edges >> (x + y * (y - 1) // 2) & 1 if x < y else 0 for y in range(n)] for x in range(n)]


def is_full(matrix) -> bool:
    n = len(matrix)
    return all(any(row[v] for row in matrix) for v in range(1, n)) and all(any(matrix[v]) for v in range(n - 1))


def isomorphism_key(matrix, labels):
    """The smallest relabelling: equal for isomorphic cells and for no others."""
    n = len(labels)
    return min(
        (tuple(labels[v] for v in order), tuple(matrix[x][y] for x in order for y in order))
        for middle in itertools.permutations(range(1, n - 1))
        for order in [(0, *middle, n - 1)]
    )


def enumerate_cells(max_vertices, max_edges=9):
    """(vertices, edge mask, operations) of every cell up to isomorphism, in the order of the benchmark's loops."""
    seen = set()
    for n in range(2, max_vertices + 1):
        for edges in range(2 ** (n * (n - 1) // 2)):
            matrix = matrix_of(n, edges)
            if not is_full(matrix) or bin(edges).count("1") > max_edges:
                continue
            for operations in itertools.product(range(3), repeat=n - 2):
                key = isomorphism_key(matrix, (-1, *operations, -2))
                if key not in seen:
                    seen.add(key)
                    yield n, edges, operations
