"""Trouble: a tenth of a second of bad luck for everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .cluster import Cluster

__all__ = ["CUT_S", "strike"]

#: For up to so long a client is cut off.
CUT_S = 8.0


def strike(cluster: Cluster) -> None:
    """What crashes, stops, comes or goes just now."""
    weather, faults, host, crew = cluster.weather, cluster.weather.faults, cluster.host, cluster.crew
    if not faults.strike:
        return
    if host.server is not None and weather.strikes(faults.server_crashes / 10):
        host.crash()
    for consumer, trainer in enumerate(cluster.trainers):
        if weather.strikes(faults.client_crashes / 10):
            cluster.crash_client(consumer)
        if weather.strikes(faults.client_cuts / 10):
            trainer.cut_until = cluster.now + weather.dice.uniform(0.0, CUT_S)
        if weather.strikes(faults.saves / 10) and trainer.begun:
            cluster.say(trainer, trainer.save())
    if cluster.saved and weather.strikes(faults.rewinds / 10):
        cluster.rewind(weather.dice.randrange(len(cluster.trainers)), weather.dice.choice(cluster.saved))
    if weather.strikes(faults.scaling / 10):
        crew.scale(weather.dice.choice([0, 1, 2, 4]))
    for name in list(crew.workers):
        if weather.strikes(faults.worker_crashes / 10):
            crew.crash(name)
        elif weather.strikes(faults.worker_stops / 10):
            crew.stop(name, weather.dice.uniform(2.0, faults.stop_s))
