"""``symdiff cache``: what it says of the directory, and that it empties it."""

import os
import re

import pytest

import symdiff as sd
from symdiff.cli.main import main


@pytest.fixture
def directory(tmp_path, monkeypatch):
    path = tmp_path / "kernels"
    monkeypatch.setattr(sd.config, "cache_dir", str(path))
    return path


def test_info_of_a_directory_that_is_not_there_yet(directory, capsys):
    assert main(["cache", "info"]) == 0
    assert re.search(r"kernels +0\nsize +0\.0 MiB\nlimit +1024\.0 MiB", capsys.readouterr().out)
    assert not directory.exists()


def test_info_counts_and_clear_removes(directory, capsys):
    sd.grad(lambda x: x**2 * 1.25)(1.0)
    sd.grad(lambda x: x**3 * 1.25)(1.0)
    (directory / "notes.txt").write_text("the user's own")
    main(["cache", "info"])
    assert re.search(rf"directory +{directory}\nkernels +2\n", capsys.readouterr().out)
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out == f"removed 2 kernels from {directory}\n"
    assert os.listdir(directory) == ["notes.txt"]


@pytest.mark.parametrize("off", [{"cache_dir": None}, {"cache_size": 0}])
def test_a_cache_that_is_off(off, directory, monkeypatch, capsys):
    for name, value in off.items():
        monkeypatch.setattr(sd.config, name, value)
    assert main(["cache", "info"]) == 0
    assert capsys.readouterr().out.startswith("the cache is off: ")


def test_a_directory_that_others_write_to_is_refused(directory, capsys):
    directory.mkdir()
    directory.chmod(0o777)
    assert main(["cache", "clear"]) == 1
    assert "can be written to by other users" in capsys.readouterr().err


def test_a_file_is_refused(directory, capsys):
    directory.write_text("")
    assert main(["cache", "info"]) == 1
    assert "is not a directory" in capsys.readouterr().err


def test_misuse(directory, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["cache", "melt"])
    assert exit_.value.code == 2
    assert "'melt'" in capsys.readouterr().err
