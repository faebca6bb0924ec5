"""Starts the command in no time: a process that has imported everything and computed nothing, and forks for each run.

TensorFlow and JAX make their threads when they first compute; until then a copy of the process is as good as another
start, which a test compares. A line of JSON on stdin asks for a run; a line gives its process, another how it ended.
The process is buried at the next request only, so that its number stays its own while somebody may still kill it.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from zoo.backend.quiet_start import descriptor_2_silenced


def import_everything() -> None:
    """Imports what a run imports, on its way or before."""
    import keras  # noqa: F401

    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        import tensorflow  # noqa: F401
    else:
        import jax  # noqa: F401

    import zoo.cli.inference.predict
    import zoo.cli.training.finetune
    import zoo.inference.classifier
    import zoo.jobs.finetuning
    import zoo.training.run  # noqa: F401


def become(request: dict[str, Any]) -> None:
    """Turns this copy of the process into a run."""
    from tests.survival import command

    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = ["zoo", *request["arguments"]]
    if request["report"]:
        command.report_to(Path(request["report"]))
    command.run(request["arguments"])


def serve() -> None:
    """Forks for each request, until stdin ends."""
    with descriptor_2_silenced():  # TensorFlow's start says much
        import_everything()
    print(json.dumps({"ready": True}), flush=True)
    ended = 0
    for line in sys.stdin:
        if ended:
            os.waitpid(ended, 0)
        child = os.fork()
        if child == 0:
            become(json.loads(line))
            return
        print(json.dumps({"process": child}), flush=True)
        status: Any = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        code = status.si_status if status.si_code == os.CLD_EXITED else -status.si_status
        ended = child
        print(json.dumps({"code": code}), flush=True)


if __name__ == "__main__":
    serve()
