"""What of a run is exported: the one place of this package that knows how a run is kept."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from milr_core import InputError, Step, Trajectory
from milr_core.export.recipe import Recipe
from milr_core.state import BEST_OF_N


@dataclass(frozen=True)
class Run:
    """A run from its step 0 on, with what it was asked for. options: of the critics, by name, without keys.

    Raises:
        InputError: at construction, where there is no step, or the steps are not those of one run from its step 0.
    """

    steps: Sequence[Step]
    prompt: str
    model: str
    weights_hash: str
    critic: str
    options: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.steps:
            raise InputError("There is nothing to show yet: the run has no step.")
        if [step.index for step in self.steps] != list(range(len(self.steps))):
            raise InputError("A run is exported whole, from its step 0 on: some of its steps are missing.")

    @classmethod
    def of(cls, kept: Trajectory) -> "Run":
        """Raises InputError for a bundle without steps, or with a damaged one."""
        options = {kept.critic: kept.header.options} if kept.header.options else {}
        return cls(list(kept.steps()), kept.prompt, kept.model.id, kept.model.weights_hash, kept.critic, options)

    @property
    def best(self) -> int:
        """Index of the best step, the first one on a tie."""
        return self.steps[-1].best

    @property
    def recipe(self) -> Recipe:
        """What makes the run again."""
        return Recipe(self.prompt, self.model, self.critic, self.steps, list(self.steps[-1].observed), self.options)

    @property
    def independent(self) -> bool:
        """Whether every picture was drawn on its own (Best-of-N), so that none was moved towards a better one."""
        return len(self.steps) > 1 and all(map(alone, self.steps[1:]))


def alone(step: Step) -> bool:
    """Whether the step was drawn on its own, as every picture of Best-of-N is."""
    return step.method == BEST_OF_N


@contextmanager
def opened(path: Path) -> Iterator[Trajectory]:
    """The bundle in a folder or in a zip, which is unpacked for as long as it is looked at.

    Raises:
        InputError: there is none, or it is damaged.
    """
    if path.is_dir():
        yield Trajectory.open(path)
        return
    if not path.is_file():
        raise InputError(f"There is no run at {path}: give the folder that `reason --out` wrote, or a zip of it.")
    with TemporaryDirectory(prefix="milr-") as folder:
        yield Trajectory.from_zip(path, Path(folder) / "run")
