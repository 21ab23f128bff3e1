"""An executor of your own: networks are scored by whatever runs functions elsewhere, here a pool of Python's.

python own_executor.py
"""

from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

import zcfast
from zcfast.scoring import Executor


class Pool(Executor):  # Dask's client, mpi4py.futures and submitit have the same submit and future.result
    def __init__(self, workers):
        self.workers = workers

    def map(self, task, items):
        with ProcessPoolExecutor(self.workers, mp_context=get_context("spawn")) as pool:
            places = {pool.submit(task, item): place for place, item in enumerate(items)}
            for done in as_completed(places):
                yield places[done], done.result()


if __name__ == "__main__":
    space = zcfast.space("nasbench201")
    cells = space.sample(3)
    images = zcfast.random_images(8, (3, 16, 16), classes=10, seed=0)
    network = {"stem_channels": 4, "modules": 1}
    pooled, here = (
        zcfast.score_architectures(space, ["snip", "grad_norm"], cells, images, executor=executor, **network)
        for executor in (Pool(2), zcfast.scoring.InProcess())
    )
    for row, text in enumerate(space.format(cells)):
        print(f"snip {pooled['snip'][row]:.4f}  grad_norm {pooled['grad_norm'][row]:.4f}  {text}")
    print("bit for bit as in this process:", pooled["snip"].equal(here["snip"]))
