"""A directory of entries: whole or absent, the user's own, and within its limit."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

import symdiff
from symdiff.compilation import disk_cache
from symdiff.compilation.disk_cache import DiskCache, open_cache
from symdiff.config import config
from symdiff.errors import CacheError

KEY = "0123456789abcdef"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(disk_cache, "_warned", set())
    return DiskCache(str(tmp_path / "kernels"), limit=1 << 20)


def file_of(cache, key=KEY):
    return Path(cache.path) / f"{key}.kernel"


def test_what_is_saved_comes_back(cache):
    assert cache.load(KEY) is None
    cache.save(KEY, b"code\0\n")
    assert cache.load(KEY) == b"code\0\n"
    cache.save(KEY, b"newer")
    assert cache.load(KEY) == b"newer"
    assert [e.name for e in cache.entries()] == [file_of(cache).name]


def test_only_the_user_can_enter_the_directory(cache):
    old = os.umask(0)
    try:
        cache.save(KEY, b"code")
    finally:
        os.umask(old)
    assert Path(cache.path).stat().st_mode & 0o777 == 0o700
    assert file_of(cache).stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_cut_off_anywhere_is_absent(cache):
    cache.save(KEY, b"some code")
    whole = file_of(cache).read_bytes()
    for length in range(len(whole)):
        file_of(cache).write_bytes(whole[:length])
        assert cache.load(KEY) is None
    file_of(cache).write_bytes(whole + b"\0")
    assert cache.load(KEY) is None
    file_of(cache).write_bytes(whole)
    assert cache.load(KEY) == b"some code"


def test_a_file_with_any_bit_changed_is_absent(cache):
    cache.save(KEY, b"some code")
    whole = file_of(cache).read_bytes()
    for n in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[n // 8] ^= 1 << n % 8
        file_of(cache).write_bytes(changed)
        assert cache.load(KEY) is None


def test_a_file_under_another_name_is_absent(cache):
    cache.save(KEY, b"code")
    file_of(cache).rename(file_of(cache, "ffff"))
    assert cache.load("ffff") is None


def test_a_broken_file_is_written_again(cache):
    cache.save(KEY, b"code")
    file_of(cache).write_bytes(b"")
    cache.save(KEY, b"code")
    assert cache.load(KEY) == b"code"


def test_links_directories_and_pipes_in_place_of_a_file_are_not_read(cache, tmp_path):
    cache.save(KEY, b"code")
    elsewhere = tmp_path / "elsewhere"
    file_of(cache).rename(elsewhere)
    file_of(cache).symlink_to(elsewhere)
    assert cache.load(KEY) is None
    file_of(cache).unlink()
    os.mkfifo(file_of(cache))
    assert cache.load(KEY) is None
    file_of(cache).unlink()
    file_of(cache).mkdir()
    assert cache.load(KEY) is None
    cache.save(KEY, b"code")  # cannot replace it, and says nothing
    assert cache.load(KEY) is None


def test_a_directory_may_be_a_link(cache, tmp_path):
    (tmp_path / "disk").mkdir(mode=0o700)
    Path(cache.path).symlink_to(tmp_path / "disk")
    cache.save(KEY, b"code")
    assert cache.load(KEY) == b"code"


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_directory_that_others_write_to_is_not_used_and_said_once(mode, cache):
    cache.save(KEY, b"code")
    Path(cache.path).chmod(mode)
    with pytest.warns(RuntimeWarning, match=r"(?s)can be written to by other users.*chmod go-w"):
        assert cache.load(KEY) is None
    cache.save("ffff", b"code")  # warnings are errors here: a second one would raise
    Path(cache.path).chmod(0o700)
    assert cache.load(KEY) == b"code"
    assert cache.load("ffff") is None


def test_a_file_that_others_write_to_is_not_read(cache):
    cache.save(KEY, b"code")
    file_of(cache).chmod(0o622)
    assert cache.load(KEY) is None


def test_what_belongs_to_another_user_is_not_used(cache, monkeypatch):
    cache.save(KEY, b"code")
    someone = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: someone)
    with pytest.warns(RuntimeWarning, match="belongs to user"):
        assert cache.load(KEY) is None
    assert "belongs to user" in cache.distrust()


@pytest.fixture
def nobody():
    """Give a directory of a user who cannot write everywhere, and be that user."""
    path = Path(tempfile.mkdtemp())
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(path, 65534, -1)
        os.seteuid(65534)
    yield path
    if is_root:
        os.seteuid(0)
    path.chmod(0o700)
    shutil.rmtree(path)


def test_a_directory_that_is_read_only_is_read(nobody):
    cache = DiskCache(str(nobody), limit=1000)
    cache.save(KEY, b"code")
    nobody.chmod(0o500)
    cache.save("ffff", b"code")
    assert cache.load(KEY) == b"code"
    assert cache.load("ffff") is None
    with pytest.raises(CacheError, match="Permission denied"):
        cache.clear()


def test_a_disk_that_refuses_writes_leaves_nothing_behind(cache, monkeypatch):
    cache.save(KEY, b"code")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    cache.save("ffff", b"code")
    assert os.listdir(cache.path) == [file_of(cache).name]
    assert cache.load(KEY) == b"code"


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    cache = DiskCache(str(tmp_path / "file" / "kernels"), limit=1000)
    cache.save(KEY, b"code")
    assert cache.load(KEY) is None
    assert cache.entries() == []


def save_at(cache, key, time, n_bytes=100):
    cache.save(key, b"c" * n_bytes)
    if file_of(cache, key).exists():
        os.utime(file_of(cache, key), (time, time))


def test_what_was_used_longest_ago_makes_room(tmp_path):
    cache = DiskCache(str(tmp_path / "kernels"), limit=1500)
    for n in range(9):
        save_at(cache, f"key{n}", time=1000 + n)
    assert len(cache.entries()) == 9
    assert cache.load("key0") is not None  # which is a use
    for n in range(9, 12):
        save_at(cache, f"key{n}", time=1000 + n)
    assert sum(e.n_bytes for e in cache.entries()) <= 1500
    left = {n for n in range(12) if cache.load(f"key{n}") is not None}
    assert {0, 11} <= left
    assert left.isdisjoint({1, 2})
    assert left - {0} == set(range(min(left - {0}), 12))


def test_the_limit_holds_whatever_was_there_before(tmp_path):
    before = DiskCache(str(tmp_path / "kernels"), limit=1 << 20)
    for n in range(50):
        before.save(f"key{n}", b"c" * 100)
    DiskCache(before.path, limit=1000).save("new", b"c" * 100)
    assert before.load("new") is not None
    assert sum(e.n_bytes for e in before.entries()) <= 1000


def test_an_entry_larger_than_the_limit_is_not_kept(tmp_path):
    cache = DiskCache(str(tmp_path / "kernels"), limit=1000)
    cache.save(KEY, b"c" * 1001)
    assert cache.load(KEY) is None


def test_what_a_killed_writer_left_goes_too(cache):
    cache.save(KEY, b"code")
    left = Path(cache.path) / "0011223344556677.part"
    left.write_bytes(b"co")
    assert len(cache.entries()) == 1
    assert cache.clear() == 1
    assert os.listdir(cache.path) == []


def test_clearing_what_is_not_there(cache):
    assert cache.clear() == 0


WRITER = """
import sys
from symdiff.compilation.disk_cache import DiskCache
cache = DiskCache(sys.argv[1], limit=20_000)
for n in range(300):
    key = f"key{n % 40}"
    found = cache.load(key)
    assert found in (None, key.encode() * 100), "a mixture"
    cache.save(key, key.encode() * 100)
"""


def test_processes_that_write_at_once_see_whole_entries(cache):
    env = {**os.environ, "PYTHONPATH": str(Path(symdiff.__file__).parents[1])}
    command = [sys.executable, "-c", WRITER, cache.path]
    writers = [subprocess.Popen(command, env=env) for _ in range(3)]
    assert [w.wait(timeout=120) for w in writers] == [0, 0, 0]
    assert all(e.name.endswith(".kernel") for e in cache.entries())
    assert 0 < sum(e.n_bytes for e in cache.entries()) <= 2 * 20_000


def test_threads_that_write_at_once(cache):
    def work():
        for n in range(100):
            cache.save(f"key{n % 7}", b"c" * 100)
            found.append(cache.load(f"key{n % 7}"))

    found = []
    threads = [threading.Thread(target=work) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 800
    assert set(found) == {b"c" * 100}


# what sd.config says


def test_a_path_that_is_a_file_is_the_users_mistake(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(config, "cache_dir", str(tmp_path / "file"))
    with pytest.raises(CacheError, match=r"(?s)cache_dir = '.*file' is not a directory.*None"):
        open_cache()


def test_a_default_path_that_is_a_file_is_nobodys_wish(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "symdiff").write_text("")
    monkeypatch.setattr(config, "cache_dir", str(tmp_path / "symdiff"))
    assert open_cache() is None


def test_settings_take_effect_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "cache_dir", str(tmp_path))
    monkeypatch.setattr(config, "cache_size", 123)
    assert open_cache() == DiskCache(str(tmp_path), 123)
    monkeypatch.setattr(config, "cache_dir", None)
    assert open_cache() is None
