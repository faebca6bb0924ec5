import pytest

from tests.tiny import write_photos


@pytest.mark.parametrize(
    "words",
    [
        ("finetune", "mnist_conv_tiny", "--data", ""),
        ("finetune", "mnist_conv_tiny", "--data", "photos", "--run", ""),
        ("finetune", "", "--data", "photos"),
        ("predict", "", "photos"),
        ("predict", "run", ""),
        ("evaluate", ""),
        ("evaluate", "run", "--data", " "),
        ("features", "mnist_conv_tiny", "", "--out", "x.npz"),
        ("lr-find", "mnist_conv_tiny", "--data", ""),
        ("data", "check", ""),
        ("data", "pack", "mnist_conv_tiny", "--data", ""),
        ("data", "preview", "mnist_conv_tiny", "--data", "", "--out", "x.png"),
    ],
)
def test_every_command_refuses_an_empty_path(typed, words):
    code, out, err = typed(*words)
    assert (code, out) == (2, "")
    assert "is empty; expected" in " ".join(err.split())


def test_data_check_reads_the_home_folder_and_names_addresses(typed, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_photos(tmp_path / "photos", count=2)
    code, out, _ = typed("data", "check", "~/photos")
    assert (code, out.splitlines()[-1].startswith("4 images, 0 faults")) == (0, True)
    code, _, err = typed("data", "check", "https://x.org/y.zip")
    assert code == 2
    assert "https://x.org/y.zip: is an address, which is not read" in " ".join(err.split())


def test_data_check_takes_the_names_of_columns(typed, tmp_path):
    write_photos(tmp_path, count=2)
    path = tmp_path / "list.csv"
    path.write_text("id,what\ncat/000.png,cat\ndog/001.png,dog\n")
    code, out, _ = typed("data", "check", path, "--column", "path=id", "--column", "label=what")
    assert (code, out.splitlines()[-1].startswith("2 images, 0 faults")) == (0, True)
    code, _, err = typed("data", "check", path)
    assert code == 3
    assert "type --column path=COLUMN" in " ".join(err.split())
    assert "--set" not in err
    code, _, err = typed("data", "check", path, "--column", "paht=id")
    assert code == 2
    assert "'paht=id'; expected path, label, split, weight, group and a name, as in path=file_name" in " ".join(
        err.split()
    )


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (("data", "check", "hf:user/name"), "type --source hf:user/name"),
        (("finetune", "mnist_conv", "--data", "hf:user/name"), "type --set data.source=hf:user/name"),
        (("evaluate", "run", "--data", "hf:user/name"), "expected a file or folder"),
    ],
    ids=lambda words: words[0],
)
def test_a_source_in_the_place_of_a_path_is_answered_with_the_option_of_the_verb(typed, words, advice):
    code, _, err = typed(*words)
    assert code == 2
    assert " ".join(err.split()).endswith(f": hf:user/name: is a source, not a path; {advice}")


@pytest.mark.parametrize("verb", ["predict", "features"])
def test_a_source_among_paths_is_answered_without_an_option_that_the_verb_lacks(typed, tmp_path, verb):
    out = ("--out", tmp_path / "vectors.npz") if verb == "features" else ()
    code, _, err = typed(verb, "mnist_conv_tiny", "hf:user/name", *out)
    assert code == 1
    assert "hf:user/name: is a source, not a path; expected a file or folder" in " ".join(err.split())
    assert "--set" not in err
