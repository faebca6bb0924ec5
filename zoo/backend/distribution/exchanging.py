"""What processes that train together send one another in bulk: files, and rows that each has computed some of."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from json import dumps, loads
from pathlib import Path
from typing import Any

import numpy as np

from zoo.backend.distribution.agreement import gathered, told
from zoo.backend.distribution.placement import current
from zoo.errors import ZooError

AT_ONCE = 1 << 24


def connect(devices: Sequence[Any]) -> None:
    """Lets the devices of all processes sum something, when all processes have come here.

    Gloo gives up where a process asks for a connection half a minute before another does. In the first step it would,
    as one of them may take longer to compile that.

    Raises:
        ZooError: They cannot reach one another.
    """
    import jax
    import jax.numpy as jnp

    mesh = jax.sharding.Mesh(np.array(devices), ("all",))
    each, whole = (jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes)) for axes in (("all",), ()))
    ones: Any = jax.make_array_from_callback(
        (len(devices),), each, lambda index: np.ones(len(devices), np.float32)[index]
    )
    total: Any = jax.jit(jnp.sum, out_shardings=whole).lower(ones).compile()
    gathered("readiness", "")
    if int(total(ones)) != len(devices):
        raise ZooError(f"{len(devices)} devices summed ones to {float(total(ones))}; expected {len(devices)}")


def send_folder(folder: Path | None, into: Path, *, name: str) -> bool:
    """Copies a folder of process 0 to all others, links and special files left out.

    Args:
        folder: The folder, of process 0; None where it has none to send.
        into: Where the others have it then.
        name: Of what is sent.

    Returns:
        Whether there was one.
    """
    leads = current().leads
    files = sorted(_files(folder)) if leads and folder is not None else []
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in files} if folder is not None else {}
    listed = loads(told(name, dumps({"is_there": folder is not None, "sizes": sizes})))
    for relative, size in listed["sizes"].items():
        parts = _broadcast(folder / relative if leads and folder is not None else None, size)
        if leads:
            for _ in parts:
                pass
            continue
        target = into / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            for part in parts:
                file.write(part)
    return listed["is_there"]


def broadcast_array(array: np.ndarray | None, shape: Sequence[int], dtype: str, *, source: int) -> np.ndarray:
    """Returns an array of one process, in all of them.

    Args:
        array: The array, in that process; None elsewhere.
        shape: Its shape.
        dtype: The name of its dtype; bfloat16 is one.
        source: Which process.
    """
    import ml_dtypes
    from jax.experimental import multihost_utils

    given = np.zeros(shape, getattr(ml_dtypes, dtype, dtype)) if array is None else array
    return np.asarray(multihost_utils.broadcast_one_to_all(given, is_source=current().process == source))


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.is_file() and not path.is_symlink() and path.name != ".claim":
                yield path


def _broadcast(path: Path | None, size: int) -> Iterator[bytes]:
    """Yields a file of process 0 part by part, in all processes."""
    from jax.experimental import multihost_utils

    file = None if path is None else path.open("rb")
    try:
        for start in range(0, size, AT_ONCE):
            count = min(AT_ONCE, size - start)
            content = np.zeros(AT_ONCE if size > AT_ONCE else size, np.uint8)
            if file is not None:
                content[:count] = np.frombuffer(file.read(count).ljust(count, b"\0"), np.uint8)
            yield np.asarray(multihost_utils.broadcast_one_to_all(content))[:count].tobytes()
    finally:
        if file is not None:
            file.close()
