"""What a receipt says, as its page shows it."""

from collections.abc import Mapping

from zoo.sharing import receipt as documents
from zoo.sharing.site.contents import ClassFigures, Data, Metric, Phase, Receipt
from zoo.sharing.site.published import number


def shown(receipt: documents.Receipt, hashes: Mapping[str, str]) -> Receipt:
    """Returns what a page shows of a receipt.

    Args:
        receipt: The document.
        hashes: Of the version's files, by name.
    """
    environment = receipt.environment
    counts = {"CPUs": environment.cpus, "Threads": environment.threads}
    named = {"Device": environment.device, "Processor": environment.processor, "Backend": environment.backend}
    hardware = {
        **{name: text for name, text in named.items() if text},
        **{name: f"{count:,}" for name, count in counts.items() if count is not None},
        "Platform": environment.platform,
        "Python": environment.python,
    }
    return Receipt(
        split=receipt.result.split,
        per_class=tuple(_class_figures(name, of) for name, of in receipt.result.per_class.items()),
        seconds=number(receipt.seconds.training),
        hardware=hardware,
        packages={name: version or "not installed" for name, version in receipt.versions.items()},
        settings=_settings(receipt),
        hashes={**hashes, "Data": receipt.data.fingerprint},
        phases=tuple(
            Phase(
                name=one.name,
                train=one.train,
                batchnorm=one.batchnorm,
                trainable_params=one.trainable_params,
                frozen_tensors=one.contract.frozen_tensors,
                trained_tensors=one.contract.trained_tensors,
                unchanged=one.contract.unchanged,
            )
            for one in receipt.phases
        ),
        kept_step=receipt.kept.step if receipt.kept else None,
    )


def _class_figures(name: str, of: Mapping[str, float | None]) -> ClassFigures:
    images = number(of.get("images"))
    return ClassFigures(
        name=name,
        images=None if images is None else round(images),
        precision=number(of.get("precision")),
        recall=number(of.get("recall", of.get("accuracy"))),
        f1=number(of.get("f1")),
    )


def _settings(receipt: documents.Receipt) -> dict[str, str]:
    settings = {"Epochs": f"{receipt.seconds.epochs:,}", "Seed": str(receipt.seed), "Precision": receipt.precision}
    if batch := receipt.batch:
        settings["Batch size"] = f"{batch.batch_size:,}"
        if batch.accumulate > 1:
            settings["Batches a step"] = f"{batch.accumulate:,}"
    if exactness := receipt.exactness:
        settings["Repeats"] = exactness.claim + (f": {exactness.why}" if exactness.why else "")
    settings["Made by"] = f"zoo {receipt.zoo}"
    return settings


def metrics_of(values: Mapping[str, float], intervals: Mapping[str, tuple[float, ...]]) -> dict[str, Metric]:
    """Returns figures by name with their intervals; what is not a finite number is left out."""
    return {
        name: Metric(value=value, interval=_interval(intervals.get(name, ())))
        for name, given in values.items()
        if (value := number(given)) is not None
    }


def _interval(bounds: tuple[float, ...]) -> tuple[float, float] | None:
    ends = [end for one in bounds if (end := number(one)) is not None]
    return (min(ends), max(ends)) if len(ends) == 2 else None


def data_of(receipt: documents.Receipt, source: str) -> Data:
    """Returns the images that a run learnt from.

    Args:
        receipt: Its receipt.
        source: The recipe's `data.source`; of one that names a data set, as `builtin:mnist`, it is the name.
    """
    data = receipt.data
    named = f"{source} · " if source else ""
    of_files = f"{named}{len(receipt.classes):,} classes · {data.fingerprint[:8]}"
    return Data(
        name=source if ":" in source else of_files,
        classes=receipt.classes,
        fingerprint=data.fingerprint,
        train=data.train,
        validation=data.validation,
        test=data.test,
    )
