"""The run bundle: a folder (or a zip of it) that holds a whole search and from which it goes on.

    RUN/trajectory.jsonl           a line with all that was asked for, then a line for each step
    RUN/step-000.png               the image of each step
    RUN/state-000.safetensors      latents, Adam moments and generator state of each step

Steps are added whole: image and state first, then a line at the end. A kill at any byte loses at most the step under
way: a last line that is cut off is passed over, and written over by the next step. Lines are read when they are asked
for, so a run takes no more memory with every step. Nothing in a bundle is ever executed or unpickled.
"""

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from PIL import Image, PngImagePlugin
from safetensors import SafetensorError

from milr_core.archive import pack, unpack
from milr_core.critics.base import Usage
from milr_core.errors import InputError
from milr_core.lines import LINES, MAX_JSON_BYTES, OLD, encoded, header_of, line_of, no_bundle, parsed_line, write_whole
from milr_core.record import Header, MadeBy, StepRecord, checked, from_schema_1
from milr_core.settings import SearchSettings
from milr_core.state import SEARCH, Cost, State, Step

if TYPE_CHECKING:
    from milr_core.janus import Janus

MAX_STEPS = 10_000
MAX_BUNDLE_BYTES = 2 << 30
MAX_PIXELS = 4096 * 4096


def stamp(prompt: str, model: dict[str, str], settings: dict[str, Any]) -> PngImagePlugin.PngInfo:
    """What an image was made with, for its PNG."""
    about = PngImagePlugin.PngInfo()
    about.add_itxt("milr", json.dumps({"prompt": prompt, "model": model, **settings}))
    return about


class Trajectory:
    """A run bundle on disk. Make one with `create`, `open` or `from_zip`; add steps with `append`."""

    def __init__(self, folder: Path, header: Header, lines: list[bytes] | None = None):
        """lines: of an old bundle, instead of a file of them."""
        self.folder, self.header = folder, header
        self._old = lines
        self._ends: list[int] = []  # of each step, where its line ends in the file; of the header first
        self._size = 0  # of the file: more than the last end where a line was cut off
        self._cells = 0  # image tokens of a step
        self._values: list[float] = []
        self._spent: list[Usage] = []

    @classmethod
    def create(
        cls,
        folder: str | Path,
        model: "Janus | MadeBy",
        critic: str,
        prompt: str,
        settings: SearchSettings | None = None,
        observers: tuple[str, ...] | list[str] = (),
        options: dict[str, Any] | None = None,
        method: str = SEARCH,
    ) -> "Trajectory":
        """A new bundle without steps; the rest is what the run is asked for, as of `Header`.

        Raises:
            InputError: the folder holds a run already, or cannot be written.
        """
        folder = Path(folder)
        if (folder / LINES).exists() or (folder / OLD).exists():
            raise InputError(f"{folder} holds a run already: resume it, or choose another folder.")
        made_by = model if isinstance(model, MadeBy) else MadeBy(id=model.name, weights_hash=model.weights_hash)
        asked = {
            "prompt": prompt, "model": made_by.model_dump(), "critic": critic, "observers": list(observers),
            "options": options or {}, "method": method, "settings": settings and settings.as_dict(),
        }  # fmt: skip
        run = cls(folder, checked(Header, asked, "The header"))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            run._write_from([])
        except OSError as error:
            raise InputError(f"Cannot write a run to {folder}: {error}.") from error
        return run

    @classmethod
    def open(cls, folder: str | Path) -> "Trajectory":
        """Read a bundle and check every line of it.

        Raises:
            InputError: no bundle, another schema, a field that is not what a run writes, or a link out of the folder.
        """
        folder = Path(folder)
        try:
            if not (folder / LINES).exists():
                return cls._open_old(folder)
            with (folder / LINES).open("rb") as file:
                first = line_of(file)
                run = cls(folder, header_of(parsed_line(first, folder), 2))
                run._ends, run._size = [file.tell()], file.seek(0, os.SEEK_END)
                file.seek(run._ends[0])
                while line := line_of(file):
                    where = f"Step {len(run)}"
                    try:
                        record = parsed_line(line, folder)
                    except InputError:
                        if file.tell() == run._size and not line.endswith(b"\n"):
                            break  # cut off by a kill
                        raise
                    run._add(checked(StepRecord, record, where), file.tell())
        except (OSError, ValueError) as error:
            raise no_bundle(folder, error) from error
        return run

    @classmethod
    def _open_old(cls, folder: Path) -> "Trajectory":
        """A bundle of schema 1: all steps in one `trajectory.json`."""
        if (folder / OLD).stat().st_size > MAX_JSON_BYTES:
            raise InputError(f"The {OLD} of {folder} is far larger than that of any run.")
        data = parsed_line((folder / OLD).read_bytes(), folder)
        header = header_of(data, 1)
        steps = data.get("steps")
        if not isinstance(steps, list):
            raise InputError(f"{OLD} has no valid 'steps': the run bundle is damaged or not one.")
        lines: list[bytes] = []
        run = cls(folder, header, lines)
        for index, step in enumerate(steps):
            record = checked(StepRecord, from_schema_1(step, index), f"Step {index}")
            lines.append(encoded(record))
            run._add(record, 0)
        return run

    @classmethod
    def from_zip(cls, file: str | Path, folder: str | Path, limit: int = MAX_BUNDLE_BYTES) -> "Trajectory":
        """Unpack a zipped bundle into a new folder, taking only what a bundle holds, up to `limit` bytes.

        Raises:
            InputError: no zip, too large, or no run in it. Nothing is left in the folder then.
        """
        with unpack(Path(file), Path(folder), limit):
            return cls.open(folder)

    def to_zip(self, file: str | Path, states: bool = True) -> Path:
        """Write the bundle as one zip, atomically; the PNGs and states go in as they are.

        states: without them the zip is small, and can be looked at but not continued from.
        """
        names = [name for r in self.records for name in ((r.image, r.state) if states else (r.image,))]
        write_whole(Path(file), pack(self.folder, {LINES: b"".join(self._all_lines())}, names))
        return Path(file)

    # What was asked for

    @property
    def prompt(self) -> str:
        return self.header.prompt

    @property
    def model(self) -> MadeBy:
        return self.header.model

    @property
    def critic(self) -> str:
        return self.header.critic

    def check_model(self, model: "Janus") -> None:
        """Raise InputError unless `model` has the weights that made the run."""
        if model.weights_hash != self.model.weights_hash:
            raise InputError(
                f"The run was made by {self.model.id} with other weights than this {model.name}; "
                "continuing it would give neither run. Load the model that made it."
            )

    # Its steps

    def __len__(self) -> int:
        return len(self._values)

    @property
    def values(self) -> list[float]:
        """The score of each step."""
        return list(self._values)

    @property
    def records(self) -> Iterator[StepRecord]:
        """The record of each step, read from the disk one by one."""
        return (self.record(index) for index in range(len(self)))

    def record(self, index: int) -> StepRecord:
        """Raises InputError where there is no such step."""
        if not 0 <= index < len(self):
            raise InputError(f"The run has steps 0 to {len(self) - 1}; there is no step {index}.")
        return checked(StepRecord, json.loads(self._line(index)), f"Step {index}")

    def step(self, index: int) -> Step:
        """A step to look at, without the state behind it.

        Raises:
            InputError: there is no such step, or no image of it that can be read.
        """
        return self.record(index).step(self.image(index))

    def steps(self) -> Iterator[Step]:
        """Every step in turn."""
        return (self.step(index) for index in range(len(self)))

    def image_path(self, index: int) -> Path:
        return self.folder / self.record(index).image

    def image(self, index: int) -> Image.Image:
        """The image of a step. Raises InputError where it is none, or a link, or far too large."""
        path = self.image_path(index)
        try:
            with Image.open(_plain(path), formats=["PNG"]) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise InputError(f"{path.name} is larger than any model draws.")
                return image.convert("RGB")
        except InputError:
            raise
        except Exception as error:  # of a damaged file Pillow raises any kind
            raise InputError(f"{path} is not the image of a step: {error}.") from error

    def has_state(self, index: int) -> bool:
        """Whether there is a file to go on from; a recorded run may come without."""
        return (self.folder / self.record(index).state).is_file()

    def state(self, index: int) -> State:
        """The state after a step, to go on from; equal to the one that was appended.

        Raises:
            InputError: the step is not there, or its files are damaged.
        """
        record = self.record(index)
        kept = self._state(self.record(record.kept), None) if record.kept is not None else None
        return self._state(record, kept)

    def _state(self, record: StepRecord, kept: State | None) -> State:
        from milr_core.tensors import unpacked  # noqa: PLC0415 - torch, which looking at a run does without

        index = record.index
        try:
            data = _plain(self.folder / record.state).read_bytes()
            values, spent = tuple(self._values[: index + 1]), sum(self._spent[: index + 1], Usage())
            return unpacked(data, record, self.prompt, self.image(index), values, spent, kept)
        except FileNotFoundError as error:
            raise InputError(
                f"Step {index} of this run cannot be continued from: {record.state} is missing."
            ) from error
        except (OSError, SafetensorError, KeyError, TypeError) as error:
            raise InputError(f"Step {index} of this run cannot be continued from: {error!r}.") from error

    def newest_state(self) -> State | None:
        """The newest state that can be gone on from; None where there is no step yet.

        Steps after it, whose states are lost or damaged, leave the bundle: the next `append` writes over them.

        Raises:
            InputError: there is no such state at all.
        """
        lost: InputError | None = None
        for index in reversed(range(len(self))):
            try:
                state = self.state(index)
            except InputError as error:
                lost = lost or error
                continue
            del self._values[index + 1 :], self._spent[index + 1 :], self._ends[index + 2 :]
            if self._old is not None:
                del self._old[index + 1 :]
            return state
        if lost:
            raise lost
        return None

    # Writing

    def append(self, state: State | None) -> Path:
        """Add the next step by its state; returns its image's path.

        Raises:
            InputError: there is none, as in a replay; it is not the step that comes next, or the bundle was changed by
            another. OSError: it cannot be written; the steps so far stay as they are.
        """
        from milr_core.tensors import packed  # noqa: PLC0415 - torch, which looking at a run does without

        if state is None:
            raise InputError("A step that was read from a run has no state to write: load it with `Trajectory.state`.")
        if state.index != len(self) or state.prompt != self.prompt:
            raise InputError(
                f"The run has {len(self)} steps of '{self.prompt}'; this is step {state.index} of '{state.prompt}'."
            )
        record = StepRecord.of(state)
        line = encoded(record)
        if self._old is not None:
            self._write_from(self._old)
            (self.folder / OLD).unlink(missing_ok=True)
        png = io.BytesIO()
        state.drawn.image.save(png, "PNG", pnginfo=stamp(state.prompt, self.model.model_dump(), record.settings))
        write_whole(self.folder / record.image, png.getvalue())
        write_whole(self.folder / record.state, packed(state))
        with (self.folder / LINES).open("r+b") as file:
            if file.seek(0, os.SEEK_END) != self._size:
                raise InputError(f"The run in {self.folder} was changed by another process: open it again.")
            try:
                file.seek(self._ends[-1] - 1)
                ended = file.read(1) == b"\n"
                file.truncate()
                file.write(line if ended else b"\n" + line)
                file.flush()
                os.fsync(file.fileno())
            finally:
                self._size = os.fstat(file.fileno()).st_size
        self._add(record, self._size)
        return self.folder / record.image

    def _add(self, record: StepRecord, end: int) -> None:
        if record.index != len(self):
            raise InputError(f"Step {len(self)} says it is step {record.index}: the run bundle is damaged.")
        if len(self) == MAX_STEPS:
            raise InputError(f"The run has more than {MAX_STEPS} steps; no bundle holds so many.")
        if len(self) and len(record.image_tokens) != self._cells:
            raise InputError(f"Step {len(self)} of the run bundle does not fit the steps before it.")
        self._cells = len(record.image_tokens)
        self._ends.append(end)
        self._size = max(self._size, end)
        self._values.append(record.reward)
        self._spent.append(Cost(**dict(record.cost)).usage)

    def _line(self, index: int) -> bytes:
        if self._old is not None:
            return self._old[index]
        with (self.folder / LINES).open("rb") as file:
            file.seek(self._ends[index])
            return file.read(self._ends[index + 1] - self._ends[index])

    def _all_lines(self) -> Iterator[bytes]:
        yield encoded(self.header)
        yield from (self._line(index) for index in range(len(self)))

    def _write_from(self, lines: list[bytes]) -> None:
        """The whole file, with these steps."""
        written = [encoded(self.header), *lines]
        write_whole(self.folder / LINES, b"".join(written))
        self._ends = [sum(map(len, written[: i + 1])) for i in range(len(written))]
        self._size, self._old = self._ends[-1], None


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold a bundle's folder for one writer: what is read in it meanwhile is not changed by another process.

    Raises:
        InputError: another process is writing to it.
    """
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise InputError(f"The run in {folder} is being written by another process: wait for it.") from error


def _plain(path: Path) -> Path:
    if path.is_symlink():
        raise InputError(f"{path.name} is a link out of the run bundle; bundles hold plain files only.")
    return path
