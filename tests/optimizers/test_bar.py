"""Progress is shown on terminals only, and only where it is wanted."""

import io
import sys
import time
import types

import pytest

import symdiff as sd
from symdiff.optimizers import bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, stream, is_wanted=True):
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)  # as if not installed
    monkeypatch.setattr(bar, "REFRESH", 0.0)
    made = bar.progress_bar(is_wanted, 10, 0)
    made.show(5, 0.25)
    made.close()
    return stream.getvalue()


def test_a_line_on_a_terminal(monkeypatch):
    text = shown(monkeypatch, Terminal())
    assert "50 %  step 5/10" in text
    assert "loss 0.25" in text
    assert text.endswith("\r\x1b[K")


def test_nothing_elsewhere(monkeypatch):
    assert shown(monkeypatch, io.StringIO()) == ""
    assert shown(monkeypatch, Terminal(), is_wanted=False) == ""
    monkeypatch.setattr(sd.config, "progress", False)
    assert shown(monkeypatch, Terminal()) == ""


def test_tqdm_where_it_is_installed(monkeypatch):
    class Fake:
        def __init__(self, total, initial, **options):
            self.total, self.n, self.text, self.is_closed = total, initial, "", False
            made.append(self)

        def set_postfix_str(self, text, refresh):
            self.text = text

        def update(self, count):
            self.n += count

        def close(self):
            self.is_closed = True

    made = []
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setitem(sys.modules, "tqdm", types.ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", types.SimpleNamespace(tqdm=Fake))
    shown = bar.progress_bar(True, 10, 3)
    shown.show(5, 0.25)
    shown.close()
    assert (made[0].total, made[0].n, made[0].text) == (10, 5, "loss 0.25")
    assert made[0].is_closed


def test_tqdm_s_own_bar(monkeypatch):
    pytest.importorskip("tqdm")
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    shown = bar.progress_bar(True, 10, 3)
    time.sleep(0.15)  # it writes ten times a second
    shown.show(10, 0.125)
    shown.close()
    text = stream.getvalue()
    assert "3.00/10.0" in text  # where it began
    assert "10.0/10.0" in text
    assert "loss 0.125" in text
    assert not text.rpartition("\r")[2].strip()  # nothing is left of it
