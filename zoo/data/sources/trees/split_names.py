"""What the name of a folder says about splits: `training_set`, `Test Images`, `seg_train`, `fold3`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from zoo.data.dataset import SPLIT_NAMES, SplitName

# A word of a name: `trainingSet` is two, `TrainData2` is three.
_WORD = re.compile(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|[A-Z]|\d+")
_MORE: dict[str, SplitName] = {
    "trn": "train",
    "trains": "train",
    "vals": "validation",
    "validate": "validation",
    "validating": "validation",
    "tst": "test",
    "tests": "test",
}
_WORDS = SPLIT_NAMES | _MORE
# Words that say that it is a part of the data, and not which: people mean different ones by them.
_UNCLEAR = {
    *("dev", "devel", "development", "eval", "evaluation", "evaluate", "holdout", "heldout", "held", "unseen", "seen"),
    *("fold", "folds", "cv", "kfold", "trainval", "traintest", "valtest", "gallery", "query", "probe"),
    *(
        "entrenamiento",
        "prueba",
        "validación",
        "validacion",
        "treino",
        "treinamento",
        "teste",
        "validação",
        "validacao",
    ),
    *("entraînement", "entrainement", "apprentissage", "validierung", "trainingsdaten", "testdaten", "addestramento"),
    *("обучение", "тест", "проверка", "训练", "训练集", "测试", "测试集", "验证", "验证集", "学習", "テスト", "検証"),
    *("labeled", "labelled", "unlabeled", "unlabelled", "pred", "predict", "prediction", "submission"),
}
# Words that add nothing.
_FILLERS = {
    *("set", "sets", "data", "dataset", "datasets", "split", "splits", "subset", "part", "parts", "batch", "sample"),
    *("samples", "folder", "folders", "dir", "files", "file", "the", "of", "for", "out", "and", "new", "final", "my"),
    *("image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "pic", "pics", "jpg", "jpeg", "png"),
}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a folder's name says.

    Attributes:
        splits: The splits that it names.
        is_unclear: Whether it says that it is a part of the data, and not which.
        rest: Its other words, without those that add nothing and without numbers.
        is_filler: Whether it has words that add nothing, such as `part`.
    """

    splits: frozenset[SplitName]
    is_unclear: bool
    rest: tuple[str, ...]
    is_filler: bool = False

    @property
    def split(self) -> SplitName | None:
        """The one split that it names; None where it names none, several, or an unclear part."""
        return next(iter(self.splits)) if len(self.splits) == 1 and not self.is_unclear else None

    @property
    def is_split(self) -> bool:
        """Whether it says which split it is, and nothing else."""
        return self.split is not None and not self.rest

    @property
    def is_part(self) -> bool:
        """Whether it says only that it is some part of the data."""
        return not self.rest and (bool(self.splits) or self.is_unclear)


def read_name(name: str) -> Reading:
    """Says what is known of a folder by its name."""
    splits: set[SplitName] = set()
    rest: list[str] = []
    is_unclear = is_filler = False
    for word in _words(name):
        if word in _WORDS:
            splits.add(_WORDS[word])
        elif word in _UNCLEAR or _is_misspelled(word):
            is_unclear = True
        elif word in _FILLERS:
            is_filler = True
        elif not word.isdecimal():
            rest.append(word)
    return Reading(
        splits=frozenset(splits), is_unclear=is_unclear or len(splits) > 1, rest=tuple(rest), is_filler=is_filler
    )


def split_of(name: str) -> SplitName | None:
    """Returns the split that a name says, and nothing else; None where there is none."""
    reading = read_name(name)
    return reading.split if reading.is_split else None


def _is_misspelled(word: str) -> bool:
    """Whether two letters of a split's name were typed in the wrong order: `trian`, `tset`."""
    return any(len(word) > 3 and sorted(word) == sorted(known) for known in ("train", "test", "valid", "validation"))


def _words(name: str) -> Iterable[str]:
    for word in _WORD.findall(name):
        folded = word.casefold()
        # Two words that are written as one: `testset`, `trainimages`.
        known = sorted({*_WORDS, *_UNCLEAR}, key=len, reverse=True)
        glued = next((first for first in known if folded.startswith(first) and folded[len(first) :] in _FILLERS), None)
        if folded in _WORDS or folded in _UNCLEAR or glued is None:
            yield folded
        else:
            yield from (glued, folded[len(glued) :])
