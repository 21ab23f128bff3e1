"""Scores architectures of a search space as sampled networks: real weights, a real minibatch."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from zcfast.data.provenance import Meaning, Provenance
from zcfast.devices import find_device
from zcfast.errors import Portable, integer, unknown
from zcfast.images import ImageBatch
from zcfast.nets.initialisation import initialisation as named_initialisation
from zcfast.nets.inputs import Inputs, checked_inputs, first_minibatch, mapped, tensors_of
from zcfast.passes.base import with_requirements
from zcfast.passes.batch import Loss
from zcfast.proxies import Proxy, registered, resolve
from zcfast.proxies.populations import populations, with_parts
from zcfast.proxies.sets import expanded
from zcfast.scores import Scores
from zcfast.scoring.execution import Executor, InProcess, Processes, WorkerEnded, each_once, require_one
from zcfast.scoring.fingerprint import fingerprint, package
from zcfast.scoring.populations import with_populations
from zcfast.scoring.space import check_cells, in_closed_form, own_options
from zcfast.scoring.store import Row, Store
from zcfast.scoring.task import Task, groups
from zcfast.spaces import Cells, ClosedForm, SearchSpace, as_space
from zcfast.spaces.forms import closed_forms


class ScoringInterrupted(Portable, KeyboardInterrupt):
    """Ctrl-C, with the scores of the architectures that were done, in the order in which they were asked for."""

    def __init__(self, scores: Scores) -> None:
        """Take the scores."""
        super().__init__(f"{len(scores)} architectures were scored")
        self.scores = scores


Images = ImageBatch | tuple[Inputs, Tensor]


def score_architectures(
    space: str | SearchSpace[Any],
    proxies: str | Sequence[str | Proxy],
    cells: Cells,
    images: Images | None = None,
    *,
    seed: int = 0,
    device: str = "cpu",
    workers: int | None = None,
    executor: Executor | None = None,
    parts: str | os.PathLike[str] | Store | None = None,
    progress: Callable[[int, int], None] | None = None,
    loss_fn: Loss | None = None,
    logits: Callable[[Any], Tensor] | None = None,
    layers: tuple[type[nn.Module], ...] | None = None,
    **options: Any,
) -> Scores:
    """One row an architecture, each scored as it stands on a network with freshly drawn weights.

    The weights depend on the seed and the architecture alone, so neither on the order nor on the other architectures.
    Where the space can leave BatchNorm out (``batch_norm`` among its options), ``synflow`` is that of the network built
    without it, whose mean over the weights is ``expected_synflow``; all other proxies take the network with BatchNorm.

    Args:
        space: the search space or its name.
        proxies: names of sampled proxies (zcfast.proxies), configured ones, names of closed forms (as ``score_space``
            takes them), which are computed without building a network, and ``az_nas`` and ``vkdnw_agg``, scores of the
            set of architectures, which bring the columns that they are made of; "paper", "modern", "cheap" and "all"
            stand for the proxies of these sets.
        cells: the N valid architectures.
        images: the minibatch: inputs, in any form that ``score`` takes, and targets, of float32 networks; or a
            DataLoader, of which the first is taken. Networks of
            cells take images [B, channels, H, W] with H = W, which set resolution and image_channels, and classes if
            the minibatch says how many there are.
            None: the example of the space, if that is a minibatch; networks of cells have none, which
            is well if no proxy reads it (``reads_images``).
        seed: of the weights.
        device: "cpu" or "cuda", where the networks run.
        workers: score in so many processes of one thread each: results are bit-identical for any number of them. 1 is
            this process, and a script with more needs ``if __name__ == "__main__"``. By default this process scores
            with torch's threads.
        executor: scores in place of workers, on one thread wherever it runs.
        parts: with workers or an executor, a directory that keeps what was scored, or a ``Store`` that is entered: the
            same call goes on where a killed one ended. Kept scores of other code, options or images are not taken.
        progress: called with the number of rows done and of all rows.
        loss_fn, logits, layers: as for ``score``.
        options: of the network, ``initialisation`` and ``batch_norm`` as for ``space.build``; those of closed forms.

    Returns:
        Scores with the columns of each proxy, float64, NaN where there is no score; ``reasons`` says why. The columns
        ``synflow`` and ``synflow_bn`` are natural logarithms, as ``expected_synflow`` is: -inf for a score of zero.

    Raises:
        ValueError: a wrong argument; a network that cannot be scored has a reason instead and the others go on.
        OSError: parts that cannot be written or that another process has; a worker that was killed or ended.
        ScoringInterrupted: Ctrl-C after the first architecture; it has the scores so far.
    """
    searched: SearchSpace[Any] = as_space(space)
    if integer("seed", seed) < 0:
        raise ValueError(f"seed: expected a number >= 0, got {seed}")
    runner, proxies = _executor(workers, executor, parts), expanded(proxies)
    chosen = resolve_columns(searched, proxies)
    sampled = [proxy for proxy in chosen.values() if proxy is not None]
    closed = [name for name, proxy in chosen.items() if proxy is None]
    check_cells(searched, cells)
    initialisation = options.pop("initialisation", searched.initialisation)
    if initialisation is not None:
        named_initialisation(initialisation)
    batch_norm = _batch_norm(searched, closed, options)
    own = {name: options.pop(name) for name in own_options(searched) if name in options}
    batch = minibatch(searched, images, reads_images(sampled))
    network = options if batch is None else searched.fitting(batch, options)
    own |= {"initialisation": initialisation} if "expected_synflow" in closed else {}
    columns, described = in_closed_form(searched, closed, cells, **network, **own)
    build = {"initialisation": initialisation, **network}
    of_score = {"loss_fn": loss_fn, "logits": logits, "layers": layers}
    options_of_score = {name: value for name, value in of_score.items() if value is not None}
    tensors, by_norm, where = _tensors(searched, batch, network), groups(sampled, batch_norm), find_device(device)
    task = Task(searched, cells, by_norm, tensors, seed, where, build, options_of_score, one_thread=runner is not None)
    rows, interrupted = _run(task, sampled, runner or InProcess(), parts, progress)
    given = {
        **{"initialisation": initialisation, "batch_norm": batch_norm is not False, "device": device},
        "images": None if batch is None else batch.protocol(),
    }
    meanings = _meanings(searched, chosen, described.columns)
    provenance = dataclasses.replace(described, seed=seed, columns=meanings, options={**described.options, **given})
    table = _table(task, rows, provenance, columns, sampled)
    scores = with_populations(table, proxies, [proxy.label for proxy in sampled])
    if interrupted:
        raise ScoringInterrupted(scores)
    return scores


def task_of(
    space: SearchSpace[Any],
    proxies: Sequence[Proxy],
    images: Images | None,
    *,
    seed: int,
    device: str,
    one_thread: bool,
    **options: Any,
) -> Task:
    """What ``score_architectures`` runs for each architecture, with none yet: ``dataclasses.replace`` gives it some."""
    given = {name: options.pop(name) for name in ("loss_fn", "logits", "layers") if name in options}
    initialisation = options.pop("initialisation", space.initialisation)
    batch_norm = _batch_norm(space, [], options)
    batch = minibatch(space, images, reads_images(proxies))
    network = options if batch is None else space.fitting(batch, options)
    tensors, build = _tensors(space, batch, network), {"initialisation": initialisation, **network}
    by_norm = groups(list(proxies), batch_norm)
    return Task(space, space.sample(0), by_norm, tensors, seed, find_device(device), build, given, one_thread)


def _executor(workers: int | None, executor: Executor | None, parts: object) -> Executor | None:
    """What runs the parts; None for this process with all its threads."""
    if workers is not None and integer("workers", workers) < 1:
        raise ValueError(f"workers: expected a number >= 1, got {workers}")
    require_one(workers, executor)
    if workers is None and executor is None and parts is not None:
        raise ValueError("parts: no effect without workers")
    if executor is None and workers is not None:
        return Processes(workers) if workers > 1 else InProcess()
    return executor


def _run(
    task: Task,
    sampled: list[Proxy],
    executor: Executor,
    parts: str | os.PathLike[str] | Store | None,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[Row | None], bool]:
    """The rows of all architectures, as far as Ctrl-C lets, and whether it came."""
    if not sampled:
        return [{} for _ in range(len(task.cells))], False
    own = nullcontext(parts) if parts is None or isinstance(parts, Store) else Store(parts)
    with own as store:
        texts = task.space.format(task.cells)
        found = {} if store is None else store.begin(claims(task, sampled), texts)
        whole = {text: row for text, row in found.items() if all(proxy.label in row for proxy in sampled)}
        rows = [whole.get(text) for text in texts]
        missing = [place for place, row in enumerate(rows) if row is None]
        report = progress or (lambda done, of: None)
        done = len(rows) - len(missing)
        try:
            report(done, len(rows))
            with closing(each_once(executor.map(task, missing), len(missing))) as results:
                for place, row in results:
                    rows[missing[place]], done = row, done + 1
                    if store is not None:
                        store.keep(texts[missing[place]], row)
                    report(done, len(rows))
        except WorkerEnded as error:
            at = "" if error.place is None else f"{texts[missing[error.place]]}: "
            raise OSError(f"{at}{error}") from error
        except KeyboardInterrupt:
            if not done:
                raise
            return rows, True
    return rows, False


def claims(task: Task, proxies: Sequence[Proxy]) -> dict[str, Any]:
    """All that the scores of an architecture depend on, as JSON values."""
    return {
        "zcfast": package(),
        "torch": torch.__version__,
        "space": [task.space.name, fingerprint(task.space)],
        "proxies": {proxy.label: fingerprint(proxy) for proxy in proxies},
        "batch": ImageBatch(*task.batch, None, {}).protocol(),
        "seed": task.seed,
        "device": str(task.device),
        "groups": {str(has): [proxy.label for proxy in group] for has, group in task.groups.items()},
        "build": task.build,
        "score": {name: fingerprint(value) for name, value in task.options.items()},
    }


def _table(
    task: Task, rows: list[Row | None], provenance: Provenance, columns: dict[str, Tensor], sampled: list[Proxy]
) -> Scores:
    """The scores of those rows that are done."""
    done = [place for place, row in enumerate(rows) if row is not None]
    scored = [row for row in rows if row is not None]
    cells, columns = (
        (task.cells, columns)
        if len(done) == len(rows)
        else (task.cells[done], {name: column[done] for name, column in columns.items()})
    )
    reasons = {}
    for label in (proxy.label for proxy in sampled):
        columns[label] = torch.tensor([row[label][0] for row in scored], dtype=torch.float64)
        texts = [row[label][1] for row in scored]
        if any(texts):
            reasons[label] = texts
    return Scores(task.space, cells, {name: columns[name] for name in provenance.columns}, provenance, reasons)


def _meanings(
    space: SearchSpace[Any], chosen: dict[str, Proxy | None], closed: Mapping[str, Meaning]
) -> dict[str, Meaning]:
    """What each column of the table is, in the order asked for."""
    meanings = {name: described_as(proxy) for name, proxy in chosen.items() if proxy is not None}
    meanings |= closed
    forms = closed_forms(space)
    return {column: meanings[column] for name, proxy in chosen.items() for column in _columns_of(forms, name, proxy)}


def resolve_columns(space: SearchSpace[Any], proxies: str | Sequence[str | Proxy]) -> dict[str, Proxy | None]:
    """The labels of the proxies asked for and the sampled proxy of each, None for a closed form of the space.

    Raises:
        ValueError: an unknown name, a column twice, or none.
    """
    proxies = expanded(proxies)
    if isinstance(proxies, str) or not isinstance(proxies, Iterable):
        raise ValueError(f"proxies: expected a list of names, got {proxies!r}")
    forms = closed_forms(space)
    names = list(dict.fromkeys([*forms, *registered(), *populations()]))
    chosen: dict[str, Proxy | None] = {}
    taken: set[str] = set()
    for each in with_parts(list(proxies)):
        if isinstance(each, str) and each not in names:
            raise unknown("proxy", each, names)
        proxy = None if each in forms else resolve(each)
        name = str(each) if proxy is None else proxy.label
        for column in _columns_of(forms, name, proxy):
            if column in taken:
                raise ValueError(f"proxies: expected each once, got {column} twice")
            taken.add(column)
        chosen[name] = proxy
    if not chosen:
        raise ValueError("proxies: expected at least one, got none")
    return chosen


def _columns_of(forms: Mapping[str, ClosedForm], name: str, proxy: Proxy | None) -> list[str]:
    """The columns of a proxy that ``resolve_columns`` has found."""
    return [name] if proxy is not None else list(forms[name].columns)


def reads_images(proxies: Sequence[Proxy]) -> list[str]:
    """The labels of those sampled proxies that need a minibatch of images."""
    form = {"nothing", "shape"}
    return [proxy.label for proxy in proxies if not {p.reads for p in with_requirements(proxy.needs)} <= form]


def _batch_norm(space: SearchSpace[Any], closed: list[str], options: dict[str, Any]) -> bool | None:
    """Whether networks have BatchNorm, taken from the options; None for a space that cannot leave it out."""
    if "batch_norm" not in space.options:
        return None
    batch_norm = options.pop("batch_norm", True)
    if not isinstance(batch_norm, bool):
        raise ValueError(f"batch_norm: expected true or false, got {batch_norm!r}")
    for name in ("params", "path_statistics", "path_rank"):
        if not batch_norm and name in closed:
            raise ValueError(f"batch_norm: expected true, as {name} describes the network with BatchNorm, got false")
    return batch_norm


def minibatch(space: SearchSpace[Any], images: Images | None, readers: list[str]) -> ImageBatch | None:
    """The minibatch, or that of the space; None if no proxy reads one and there is none.

    Args:
        space: the search space.
        images: what the caller gives, if anything.
        readers: labels of proxies that read a minibatch.

    Raises:
        ValueError: no minibatch though one is read, or one that is none.
    """
    if images is None:
        example = space.minibatch
        if example is not None:
            return minibatch(space, (example.inputs, example.targets), readers)
        if readers:
            raise ValueError(f"images: expected a minibatch, which {', '.join(readers)} need, got none")
        return None
    images = first_minibatch(images)
    batch = images if isinstance(images, ImageBatch) else ImageBatch(*_pair(images), None, {"images": "tensors"})
    if not all(each.isfinite().all() for each in tensors_of(batch.inputs)):
        raise ValueError("images: expected finite numbers, got NaN or infinity")
    return batch


def _pair(images: Any) -> tuple[Inputs, Tensor]:
    parts = images if isinstance(images, tuple | list) else (images,)
    if len(parts) != 2 or not isinstance(parts[1], Tensor) or not parts[1].dim():
        came = ", ".join(type(part).__name__ for part in parts)
        raise ValueError(f"images: expected an ImageBatch or tensors (inputs, targets), got {came}")
    try:
        return checked_inputs(parts[0], "images"), parts[1]
    except TypeError as error:
        raise ValueError(str(error)) from error


def _tensors(space: SearchSpace[Any], batch: ImageBatch | None, network: dict[str, Any]) -> tuple[Inputs, Tensor]:
    """Inputs and targets; the example for proxies that take no more than its shape."""
    if batch is None:
        example = space.example_with(network)
        return example.inputs, example.targets
    return mapped(lambda x: x.cpu().float() if x.is_floating_point() else x.cpu(), batch.inputs), batch.targets.cpu()


def described_as(proxy: Proxy) -> Meaning:
    """Definition, unit and source of a column."""
    has_logarithm = type(proxy).log_value is not Proxy.log_value
    return Meaning(proxy.definition or proxy.label, "ln(score)" if has_logarithm else "score", proxy.source)
