"""Figures as we make and write them, whatever the machine's and the user's settings of Matplotlib are."""

import contextlib
import functools
import io
import logging
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.report.lettering import set_fonts
from zoo.system.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 120


def new_figure(width: float, height: float, **options: Any) -> "Figure":
    """Makes a figure that knows of no window.

    Args:
        width: In inches.
        height: In inches.
        options: As for Matplotlib's `Figure`.

    Returns:
        The figure, which a notebook shows where a cell ends with it.
    """
    _import_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), **options)
    # Notebooks show figures of pyplot on their own account, and others where they say how.
    setattr(figure, "_repr_png_", functools.partial(_to_png, figure))  # noqa: B010
    return figure


def _to_png(figure: "Figure") -> bytes:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=DPI)
    return image.getvalue()


@contextlib.contextmanager
def default_style() -> Generator[None]:
    """Draws as Matplotlib does by default, whatever a matplotlibrc or the program around us has set.

    One setting, `text.usetex`, would stop a finished run where LaTeX is not installed.
    """
    _import_matplotlib()
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


def save_figure(figure: "Figure", path: Path) -> None:
    """Writes a figure as a PNG, with fonts for all that it says.

    Raises:
        OSError: It could not be written.
    """
    with default_style():
        set_fonts(figure)
        image = _to_png(figure)
    write_atomic(path, image)


def _import_matplotlib() -> None:
    """Imports Matplotlib without its remarks on folders that it cannot write to, and past a backend unknown to it.

    A figure that is only written needs no backend; a variable that names a wrong one stops the import.
    """
    if "matplotlib" in sys.modules:
        return
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        logger.setLevel(level)
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        # As the import does, which a wrong name leaves half done and unrepeatable.
        with contextlib.suppress(ValueError):
            matplotlib.rcParams["backend"] = backend
