import builtins

import pytest
import sympy as sp

from symdiff.errors import ProgramTooLargeError
from symdiff.program.patterns import placeholder
from symdiff.program.plotting import layers, place

p0 = placeholder(0)


def test_layers_follow_the_longest_path():
    edges = [("a", "b"), ("b", "c"), ("a", "c")]
    assert layers(["a", "b", "c"], edges) == [["a"], ["b"], ["c"]]


def test_inputs_stand_right_above_their_first_reader():
    edges = [("a", "b"), ("b", "c"), ("x", "c")]
    assert layers(["a", "x", "b", "c"], edges) == [["a"], ["x", "b"], ["c"]]


def test_rows_are_centred():
    assert place([["a", "b"], ["c"]]) == {"a": (-0.5, 0.0), "b": (0.5, 0.0), "c": (0.0, -1.0)}


def test_arrays_are_labelled_and_joined(make):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    ax = figure.subplots()
    assert make.layer().plot(ax) is ax
    labels = [text.get_text() for text in ax.texts]
    shown = {" ".join(label.split()) for label in labels}
    assert shown >= {"x[n,3]", "W[3,2]", "t[i,j] += x[i,k]*W[k,j] for k < 3"}
    assert sum(label == "" for label in labels) == 3
    figure.canvas.draw()


def test_new_axes_are_made(make, monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    ax = make.total().plot()
    assert ax.get_title() == "f"
    pyplot.close(ax.figure)


def test_large_programs_are_refused(make):
    equations = [make.equation(f"t_{k}", sp.sin(p0), [make.read("x")]) for k in range(201)]
    program = make.program(
        {"x": ()}, {"t_0": ()}, equations, temporaries={f"t_{k}": () for k in range(1, 201)}
    )
    with pytest.raises(ProgramTooLargeError, match=r"201 equations.*at most 200"):
        program.plot()


def test_without_matplotlib_the_extra_is_named(make, monkeypatch):
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install symdiff-jit\[plot\]"):
        make.total().plot()


def test_a_program_of_nothing(make):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    assert make.program({}, {"y": ()}, []).plot(figure.subplots()).get_title() == "f"
