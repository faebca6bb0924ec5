"""Images read on threads while Keras is imported, into packs that the run then finds.

Much of that import is compiled code and files, and so is reading images: they let each other run. What is not read when
Keras is there, the run reads, with its bar and its messages; packs are made to be gone on with.
"""

import contextlib
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from zoo.data.images import index
from zoo.data.inputs import input_shape, open_source, pack_source, settings_for_model
from zoo.data.packs.packing import Packing
from zoo.recipe.schema import Recipe

# Of these, files are listed by our own code, which imports nothing that the start of Keras leaves out.
SOURCES = frozenset({"folder", "csv", "jsonl"})
# Files that are hashed between two looks at whether to stop.
_HASHED_AT_ONCE = 64
# Seconds that an interrupted block waits for the image that is being read.
_PATIENCE = 1.0


class _StoppedError(Exception):
    """The block has ended."""


@contextmanager
def reading_ahead(recipe: Recipe, images: object) -> Generator[None]:
    """Hashes and decodes a recipe's images beside the block, which imports Keras.

    Whether all is done at its end or nothing, the run that follows comes to the same: it looks for the pack, and reads
    what is missing. What is wrong with images is found and said there too.

    Args:
        recipe: The resolved recipe.
        images: The folder or list of files; anything else is not read ahead.
    """
    if not isinstance(images, Path) or recipe.data.source not in SOURCES:
        yield
        return
    stop = threading.Event()
    # A daemon: it may wait for another process that packs the same images, and who interrupts the block must not.
    reader = threading.Thread(target=_read, args=(recipe, images, stop), name="zoo-ahead", daemon=True)
    reader.start()
    try:
        yield
    except BaseException:
        stop.set()
        reader.join(_PATIENCE)
        raise
    stop.set()
    reader.join()


def _read(recipe: Recipe, images: Path, stop: threading.Event) -> None:
    def go_on(_done: int = 0, _detail: str = "") -> None:
        if stop.is_set():
            raise _StoppedError

    @contextmanager
    def bar(_description: str, _total: int) -> Generator[Callable[[int, str], None]]:
        yield go_on

    with contextlib.suppress(Exception):  # whatever it is, the run meets it again
        source = open_source(recipe.data, images, seed=recipe.train.seed)
        for split in source.dataset.splits().values():
            if not isinstance(split.images, Sequence):
                continue
            for start in range(0, len(split), _HASHED_AT_ONCE):
                go_on()
                index.contents(split.images[start : start + _HASHED_AT_ONCE])
        how = Packing(on_bad=recipe.data.on_bad, keep=True, keep_only=True)
        pack_source(source, settings_for_model(recipe.data, input_shape(recipe)), how, bar=bar)
