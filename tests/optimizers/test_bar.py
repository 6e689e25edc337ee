"""Progress is shown on terminals only, and only where it is wanted."""

import io
import sys

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
