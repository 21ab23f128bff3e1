"""`zcfast proxies`: what there is to score by."""

from __future__ import annotations

from zcfast.cli import terminal


def list_proxies() -> None:
    """List the proxies: passes of the minibatch, labels, rounds of draws or of images, orientation and source."""
    from zcfast.proxies import registered
    from zcfast.proxies.populations import populations
    from zcfast.proxies.sets import cost, needs_labels, rounds, sets

    for name, kind in registered().items():
        proxy = kind()
        needs = [
            f"{cost(proxy):3g} passes",
            "labels" if needs_labels(proxy) else "no labels",
            f"{rounds(proxy)} rounds" if rounds(proxy) else "no rounds",
            "higher is better" if proxy.higher_is_better else "lower is better",
        ]
        terminal.say(f"{name:17}" + "".join(f"{each:11}" for each in needs[:3]) + f"{needs[3]}   {proxy.source}")
    for name, population in populations().items():
        terminal.say(
            f"{name:17}of a set of networks, by {', '.join(population.of)}; higher is better   {population.source}"
        )
    for name, members in sets().items():
        terminal.say(f"--proxies {name}: {len(members)}" + ("" if name == "all" else f": {', '.join(members)}"))
