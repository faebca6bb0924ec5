"""`zoo finetune --run DIR --replay`: the step in which a run failed is taken again, and the run stays as it is."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.backend.quiet_start import import_keras
from zoo.data import InCode
from zoo.errors import ContractError
from zoo.jobs.resolving import resumed_job
from zoo.report.progress import Verbose, make_display
from zoo.runs import failed_batch
from zoo.runs.failed_batch import FailedBatch
from zoo.runs.folder import RunFolder
from zoo.runs.images import FILE as IMAGES_FILE

if TYPE_CHECKING:
    from zoo.training.tools.replay import BeforeTheStep


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """A step that failed, and was taken again.

    Attributes:
        failed: What failed.
        before: What the step began with; None where the run failed before it this time.
        fault: What was reported this time; "" where the step came to an end.
    """

    failed: FailedBatch
    before: "BeforeTheStep | None"
    fault: str


def replay(
    path: Path,
    data: "Path | str | InCode | None" = None,
    *,
    load: Callable[[], object] = import_keras,
    verbose: Verbose = "auto",
) -> Replayed:
    """Trains from the last checkpoint before a step that failed, in a folder of its own, and takes the step again.

    Args:
        path: The run.
        data: The images; by default those of the run.
        load: Imports Keras.
        verbose: As for `zoo.finetune`.

    Raises:
        NotFoundError: No step of the run has failed.
        ZooError: What is kept of it is damaged, or the images are others.
    """
    folder = RunFolder.open(path)
    failed = failed_batch.read(folder)
    source = failed_batch.checkpoint_before(folder)
    job = resumed_job(folder, None, data, None)
    load()
    from zoo.backend.callers_state import alone
    from zoo.backend.determinism import deterministic_operations
    from zoo.training.preparation.preparing import prepare, read_inputs
    from zoo.training.preparation.same_run import check_same_data, take_over_threads
    from zoo.training.run import train
    from zoo.training.tools.replay import Replay, StepTakenError

    checkpoint = job.recipe.checkpoint.model_copy(update={"every": "epoch_end"})
    take_over_threads(folder, job.recipe, force=True)
    prepared = prepare(job.recipe, job.data, weights=job.weights)
    prepared = replace(prepared, recipe=prepared.recipe.model_copy(update={"checkpoint": checkpoint}))
    check_same_data(folder, prepared.source.dataset)
    with (
        make_display(verbose, logger="zoo.finetune") as display,
        alone(display.line),
        deterministic_operations(job.recipe.train.deterministic),
        _workplace() as work,
    ):
        pack = read_inputs(prepared, display).train
        rows = [image.row for image in failed.images]
        probe = Replay(failed, pack.images[rows], pack.labels[rows])
        if source is not None:
            for name in (folder.record_path.name, folder.recipe_path.name, IMAGES_FILE):
                shutil.copyfile(folder.path / name, work / name)
            (work / folder.checkpoints.name).mkdir()
            failed_batch.link_checkpoint(source, work / folder.checkpoints.name)
        try:
            train(prepared, folder=RunFolder(work), callbacks=[probe], display=display)
        except StepTakenError:
            return Replayed(failed=failed, before=probe.before, fault="")
        except Exception as fault:
            if probe.before is None:
                raise
            return Replayed(failed=failed, before=probe.before, fault=str(fault) or type(fault).__name__)
    raise ContractError(
        f"{path}: training came to its end without epoch {failed.epoch}, batch {failed.batch}: it does not repeat; "
        "report this with the run's run.json"
    )


@contextlib.contextmanager
def _workplace() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="zoo-replay-") as path:
        yield Path(path)
