"""Ways to start processes that train together, on this host."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests import tiny

# Tiny programs, compiled again and again: a folder of their own keeps them from one process to the next.
ENVIRONMENT = {"KERAS_BACKEND": "jax", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(*command, cache, cwd=None, devices=1, **variables):
    environment = {
        **os.environ,
        **ENVIRONMENT,
        "PYTHONPATH": str(tiny.HERE),
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        **variables,
    }
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, command)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process, timeout=500):
    """Waits for a process; gives its exit code and all that it wrote."""
    stdout, stderr = process.communicate(timeout=timeout)
    return process.returncode, stdout, stderr


def together(count, *command, cache, port=None, **options):
    """Starts processes that are to train together, by the options of the command."""
    address = f"127.0.0.1:{port or free_port()}"
    return [
        start(
            *command,
            "--coordinator",
            address,
            "--processes",
            count,
            "--process",
            process,
            cache=cache,
            **options,
        )
        for process in range(count)
    ]


def write_recipe(path: Path, **sections):
    train = {"batch_size": 8, "prefix_cache": "off", **sections.pop("train", {})}
    phases = sections.pop("phases", None) or [tiny.phase("all", "all", epochs=4, batchnorm="train")]
    recipe = tiny.recipe(*phases, model="mnist_conv_tiny", train=train, **sections)
    path.write_text(recipe.to_toml())
    return path
