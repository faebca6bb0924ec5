"""One process of a training, which notes each batch's loss and the rows that its devices held; for the tests beside."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from zoo.backend.distribution import layout
from zoo.backend.distribution.joining import JoinRequest, member_of
from zoo.backend.distribution.placement import read_devices
from zoo.cli.training.processes import member_request
from zoo.jobs.finetuning import carry_out
from zoo.jobs.resuming import Request, decide
from zoo.training.feeding import on_jax

GATHERED: list[int] = []
gather = on_jax.gather
HELD: list[list[list]] = []
place = layout.placed_batch


def noting(batch, mesh):
    placed = place(batch, mesh)
    if placed.dtype == np.uint8:  # images
        rows = {}
        for shard in placed.addressable_shards:
            start = shard.index[0].start or 0
            for number, row in enumerate(np.asarray(shard.data)):
                rows[start + number] = hashlib.md5(row.tobytes()).hexdigest()
        HELD.append([[number, digest] for number, digest in sorted(rows.items())])
    return placed


def counting(images, rows, **into):
    GATHERED.append(len(rows))
    return gather(images, rows, **into)


def main(recipe, data, run, out, devices, *join):
    coordinator, processes, process = join or (None, None, None)
    asked = JoinRequest(
        coordinator=coordinator, processes=processes and int(processes), process=process and int(process)
    )
    layout.placed_batch = noting
    on_jax.gather = counting
    with member_request(Request(recipe=Path(recipe), data=data, run=run), member_of(asked, "jax")) as request:
        import keras

        class Losses(keras.callbacks.Callback):
            def __init__(self):
                super().__init__()
                self.losses = []
                self.seen = []

            def on_train_batch_end(self, batch, logs=None):
                self.losses.append(float(logs["loss"]))
                self.seen.append(HELD[-1] if HELD else [])

        kept = Losses()
        finished = carry_out(decide(request), kept, devices=read_devices(devices), verbose=0)
        found = {
            "losses": kept.losses,
            "seen": kept.seen,
            "held": HELD,
            "gathered": sum(GATHERED),
            "metrics": finished.metrics,
            "record": finished.record,
        }
        Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
