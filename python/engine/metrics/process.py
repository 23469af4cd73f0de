"""What a process uses and what it was built from: the part that every service's page has."""

import asyncio
import gc
import resource
from collections.abc import Callable, Iterable

from prometheus_client.core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import CollectorRegistry

from engine.metrics.families import counter, gauge, info

__all__ = ["process_families"]


def process_families(
    *, service: str, version: str, core: str, profile: str, python: str
) -> Callable[[], Iterable[Metric]]:
    """Return what collects CPU, memory, descriptors, tasks and the build of this process."""
    usual = ProcessCollector(registry=CollectorRegistry())  # process_*, from /proc
    build = {
        "service": service,
        "version": version,
        "core": core,
        "profile": profile,
        "python": python,
    }

    def collect() -> Iterable[Metric]:
        yield from usual.collect()
        yield info("engine_build", "What this process was built from.", build)
        used = resource.getrusage(resource.RUSAGE_SELF)
        yield counter(
            "engine_process_context_switches",
            "Context switches of this process, by whether it gave way by itself.",
            {("voluntary",): used.ru_nvcsw, ("involuntary",): used.ru_nivcsw},
            ("kind",),
        )
        collected = {
            (str(generation),): float(one["collections"])
            for generation, one in enumerate(gc.get_stats())
        }
        yield counter(
            "engine_process_gc_collections",
            "Collections of Python's garbage collector, by generation.",
            collected,
            ("generation",),
        )
        yield gauge("engine_process_tasks", "asyncio tasks that have not ended.", _tasks())

    return collect


def _tasks() -> float:
    try:
        return float(len(asyncio.all_tasks()))
    except RuntimeError:  # read from outside a loop
        return 0.0
