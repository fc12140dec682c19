"""The executor on Ray: a cluster of its own on this machine, or one that is joined by its address."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from bench.executor import Queue
from bench.worker import Job, Key, Result, Setup, Worker
from milr_core.errors import InputError

try:
    import ray
    from ray.exceptions import RayActorError, RayTaskError
except ImportError as error:
    raise InputError('Ray is an extra: pip install ".[bench]".') from error

ROOT = Path(__file__).resolve().parent.parent
EXCLUDED = [".git", ".venv", "runs", "docs", "tests", "**/__pycache__"]


class OnRay:
    """`count` actors, each with `cpus` cores and `gpus` GPUs (fractions share one); results are streamed."""

    def __init__(self, count: int, cpus: float, gpus: float, address: str | None = None):
        self.count, self.cpus, self.gpus, self.address = count, cpus, gpus, address

    def _connect(self) -> None:
        if self.address:  # the other machines get this code; here it is where it is
            ray.init(self.address, runtime_env={"working_dir": str(ROOT), "excludes": EXCLUDED}, log_to_driver=False)
        else:
            # Declared, not measured: cores here are shares of work, and workers compute in one thread each.
            enough = max(1, round(self.count * self.cpus + 0.5))
            ray.init("local", num_cpus=enough, include_dashboard=False, log_to_driver=False, configure_logging=False)

    def _start(self, setup: Setup) -> Any:
        return ray.remote(Worker).options(num_cpus=self.cpus, num_gpus=self.gpus).remote(setup)

    def __call__(self, setup: Setup, jobs: Sequence[Job]) -> Iterator[Result]:
        try:
            self._connect()
        except Exception as error:  # Ray raises of any kind, plain Exception among them
            raise InputError(f"Ray cannot be started or joined: {error}") from error
        try:
            yield from self._run(setup, Queue(jobs, setup.batch))
        finally:
            ray.shutdown()

    def _run(self, setup: Setup, queue: Queue) -> Iterator[Result]:
        at: dict[Any, tuple[Any, Sequence[Job], int, set[Key]]] = {}  # by stream: actor, jobs, tries, arrived

        def hand_out(actor: Any) -> None:
            if (following := queue.next()) is not None:
                stream = actor.run_together.options(num_returns="streaming").remote(following[0])
                at[stream] = (actor, *following, set())

        for _ in range(min(self.count, len(queue))):
            hand_out(self._start(setup))
        while at:
            ready, _ = ray.wait(list(at), num_returns=1)
            stream: Any = ready[0]
            actor, jobs, tries, arrived = at[stream]
            try:
                result = cast(Result, ray.get(next(stream)))
            except StopIteration:
                del at[stream]
                hand_out(actor)
            except (RayActorError, RayTaskError) as error:
                del at[stream]
                ray.kill(actor)  # it is dead, or failed in a way that says nothing good of what comes next
                if isinstance(error, RayActorError) and "InputError" in str(error):  # it could not load
                    raise InputError(str(error).strip().splitlines()[-1]) from error
                yield from queue.back(jobs, tries, arrived, type(error).__name__)
                if len(queue):
                    hand_out(self._start(setup))
            else:
                arrived.add(result.key)
                yield result
