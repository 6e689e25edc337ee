"""NumPy's functions made of others: values, dtypes and derivatives, keyword by keyword."""

import inspect
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.tracing.numpy_functions import FUNCTION_TABLE

rng = np.random.default_rng(11)
V = rng.uniform(0.5, 2.0, 5)
W = rng.uniform(0.5, 2.0, 3)
A = rng.uniform(0.5, 2.0, (2, 3))
B = rng.uniform(0.5, 2.0, (3, 2))
C = rng.uniform(0.5, 2.0, (2, 3, 2))
S = rng.uniform(0.5, 1.5, (3, 3))
Z = np.array(1.25)
ONE = np.array([1.5])
K = np.array([[3, -1, 4], [1, -5, 9]])
T = np.array([[True, False, True], [True, True, False]])
F = A.astype("f4")
E0 = np.zeros((0, 3))
GAPS = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan], [4.0, 0.5, -2.0]])
INFINITE = np.array([np.inf, -np.inf, np.nan, 1.0, 0.0])
AT = np.array([0.0, 0.7, 1.0, 2.5, 3.0])


def case(name: str, f: Any, *args: Any) -> Any:
    return pytest.param(f, args, id=name)


SPLITTING = [
    case("split", lambda x: np.split(x, 2, axis=2), C),
    case("split at", lambda x: np.split(x, [1, 3]), V),
    case("split at bounds beyond", lambda x: np.split(x, [2, 7]), V),
    case("split at negative bounds", lambda x: np.split(x, [-2]), V),
    case("split first axis", lambda x: np.split(x, 3), B),
    case("array_split", lambda x: np.array_split(x, 3), V),
    case("array_split into more than there are", lambda x: np.array_split(x, 4, axis=1), A),
    case("hsplit", lambda x: np.hsplit(x, 3), A),
    case("hsplit of a vector", lambda x: np.hsplit(x, [2]), V),
    case("vsplit", lambda x: np.vsplit(x, 2), A),
    case("dsplit", lambda x: np.dsplit(x, 2), C),
    case("rollaxis", lambda x: np.rollaxis(x, 2), C),
    case("rollaxis start", lambda x: np.rollaxis(x, 0, 3), C),
    case("rollaxis negative", lambda x: np.rollaxis(x, -1, -2), C),
    case("flipud", np.flipud, A),
    case("fliplr", np.fliplr, A),
    *[case(f"rot90 {k}", lambda x, k=k: np.rot90(x, k), A) for k in range(-1, 5)],
    case("rot90 axes", lambda x: np.rot90(x, 1, (2, 0)), C),
    case("rot90 negative axes", lambda x: np.rot90(x, 3, (-1, -2)), C),
    case("matrix_transpose", np.matrix_transpose, C),
    case("linalg.matrix_transpose", np.linalg.matrix_transpose, C),
    case("permute_dims", lambda x: np.permute_dims(x, (2, 0, 1)), C),
    case("atleast_3d of a number", np.atleast_3d, Z),
    case("atleast_3d of a vector", np.atleast_3d, V),
    case("atleast_3d of a matrix", np.atleast_3d, A),
    case("atleast_3d of several", np.atleast_3d, A, C),
    case("broadcast_arrays", np.broadcast_arrays, A, W, Z),
    case("meshgrid", np.meshgrid, V, W),
    case("meshgrid of three", np.meshgrid, V, W, ONE),
    case("meshgrid ij", lambda x, y: np.meshgrid(x, y, indexing="ij"), V, W),
    case("meshgrid sparse", lambda x, y: np.meshgrid(x, y, sparse=True), V, W),
    case("meshgrid of one", np.meshgrid, V),
    case("meshgrid of a number", np.meshgrid, V, Z),
    case("windows", lambda x: np.lib.stride_tricks.sliding_window_view(x, 3), V),
    case("windows of an axis", lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, 1), A),
    case("windows twice", lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 2)), A),
]
if hasattr(np, "unstack"):
    SPLITTING += [
        case("unstack", np.unstack, A),
        case("unstack axis", lambda x: np.unstack(x, axis=-1), A),
    ]
ASSEMBLY = [
    case("tile", lambda x: np.tile(x, 3), V),
    case("tile of a number", lambda x: np.tile(x, 3), Z),
    case("tile pair", lambda x: np.tile(x, (2, 3)), V),
    case("tile matrix", lambda x: np.tile(x, (2, 1)), A),
    case("tile fewer", lambda x: np.tile(x, 2), C),
    case("tile none", lambda x: np.tile(x, (2, 0)), A),
    case("tile without counts", lambda x: np.tile(x, ()), A),
    case("tile transposed", lambda x: np.tile(x.T[::-1], (2, 2)), A),
    case("repeat", lambda x: np.repeat(x, 2), A),
    case("repeat of a number", lambda x: np.repeat(x, 3), Z),
    case("repeat axis", lambda x: np.repeat(x, 3, axis=1), A),
    case("repeat negative axis", lambda x: np.repeat(x, 2, axis=-3), C),
    case("repeat counts", lambda x: np.repeat(x, [1, 0, 2], axis=1), A),
    case("repeat one count", lambda x: np.repeat(x, [2], axis=0), A),
    case("repeat zero", lambda x: np.repeat(x, 0), V),
    case("repeat first axis by counts", lambda x: np.repeat(x, np.array([2, 1]), 0), A),
    case("kron", np.kron, A, B),
    case("kron of vectors", np.kron, V, W),
    case("kron of unlike ranks", np.kron, W, A),
    case("kron of higher rank", np.kron, C, A),
    case("kron with a number", np.kron, Z, A),
    case("kron with a constant", lambda x: np.kron(np.eye(2), x), A),
    case("roll", lambda x: np.roll(x, 2), V),
    case("roll back", lambda x: np.roll(x, -1), V),
    case("roll far", lambda x: np.roll(x, 12), V),
    case("roll all round", lambda x: np.roll(x, 5), V),
    case("roll flat", lambda x: np.roll(x, 1), A),
    case("roll axis", lambda x: np.roll(x, 1, axis=0), A),
    case("roll pair", lambda x: np.roll(x, (1, -1), axis=(0, 1)), A),
    case("roll one shift over two axes", lambda x: np.roll(x, 1, axis=(0, -1)), C),
    case("roll an axis twice", lambda x: np.roll(x, (1, 1), axis=(1, 1)), A),
    case("append", np.append, A, V),
    case("append axis", lambda x, y: np.append(x, y, axis=1), A, A),
    case("append number", lambda x: np.append(x, 2.0), V),
    case("insert", lambda x, y: np.insert(x, 1, y), V, Z),
    case("insert at the end", lambda x: np.insert(x, 5, 7.0), V),
    case("insert negative", lambda x: np.insert(x, -1, 7.0), V),
    case("insert several at one", lambda x, y: np.insert(x, 2, y), V, W),
    case("insert at several", lambda x, y: np.insert(x, [0, 3, 3], y), V, W),
    case("insert one value at several", lambda x: np.insert(x, [3, 1], 9.0), V),
    case("insert row", lambda x, y: np.insert(x, 1, y, axis=0), A, W),
    case("insert column", lambda x, y: np.insert(x, 1, y, axis=1), A, Z),
    case("insert column of values", lambda x, y: np.insert(x, 1, y, axis=1), B, W),
    case("insert columns", lambda x, y: np.insert(x, [1], y, axis=1), A, A),
    case("insert flat", lambda x: np.insert(x, [1, 4], [8.0, 9.0]), A),
    case("insert slice", lambda x: np.insert(x, slice(1, 4), 6.0), V),
    case("insert mask", lambda x: np.insert(x, np.array([True, False, True]), 6.0, axis=1), A),
    case("delete", lambda x: np.delete(x, 1), V),
    case("delete negative", lambda x: np.delete(x, -1), V),
    case("delete several", lambda x: np.delete(x, [0, 3]), V),
    case("delete slice", lambda x: np.delete(x, slice(None, None, 2)), V),
    case("delete mask", lambda x: np.delete(x, np.array([True, False, True]), axis=1), A),
    case("delete row", lambda x: np.delete(x, 0, axis=0), A),
    case("delete flat", lambda x: np.delete(x, 4), A),
    case("delete nothing", lambda x: np.delete(x, []), V),
    case("resize", lambda x: np.resize(x, (2, 4)), V),
    case("resize smaller", lambda x: np.resize(x, 3), A),
    case("resize to nothing", lambda x: np.resize(x, 0), A),
    case("dstack", lambda x, y: np.dstack([x, y]), A, A),
    case("dstack of vectors", lambda x, y: np.dstack((x, y)), V, V),
    case("block", lambda x, y: np.block([[x, x], [y, y]]), A, A),
    case("block flat", lambda x, y: np.block([x, y]), V, W),
    case("block of one", np.block, A),
    case("block of unlike ranks", lambda x, y: np.block([[x], [y]]), A, W),
    case("block with constants", lambda x: np.block([[x, np.zeros((2, 2))]]), A),
    case("block of depth 3", lambda x: np.block([[[x], [x]]]), C),
    case("diag 1", lambda x: np.diag(x, 1), W),
    case("diag -2", lambda x: np.diag(x, -2), W),
    case("diag of a matrix 1", lambda x: np.diag(x, 1), A),
    case("diag of a matrix -1", lambda x: np.diag(x, -1), A),
    case("diagflat", lambda x: np.diagflat(x, -1), A),
    case("diagflat of a number", np.diagflat, Z),
    case("tril", np.tril, S),
    case("triu", np.triu, S),
    *[case(f"tril {k}", lambda x, k=k: np.tril(x, k), A) for k in (-2, -1, 1, 2)],
    *[case(f"triu {k}", lambda x, k=k: np.triu(x, k), A) for k in (-2, -1, 1, 2)],
    case("tril of a stack", np.tril, C),
    case("triu of a vector", np.triu, W),
    case("vander", np.vander, W),
    case("vander increasing", lambda x: np.vander(x, 4, increasing=True), W),
    case("vander 1", lambda x: np.vander(x, 1), W),
    case("vander 0", lambda x: np.vander(x, 0), W),
    case("linspace", lambda x, y: np.linspace(x, y, 5), Z, 2 * Z),
    case("linspace of arrays", lambda x, y: np.linspace(x, y, 3, axis=-1), W, W * W),
    case("linspace without end", lambda x: np.linspace(x, 3.0, 4, endpoint=False), Z),
    case("linspace with step", lambda x: np.linspace(x, 3.0, 4, retstep=True), Z),
    case("linspace of one", lambda x: np.linspace(x, 3.0, 1), Z),
    case("logspace", lambda x, y: np.logspace(x, y, 4, base=2.0), Z, 2 * Z),
    case("geomspace", lambda x, y: np.geomspace(x, y, 4), Z, 2 * Z),
    case("geomspace of arrays", lambda x, y: np.geomspace(x, y, 3, axis=-1), W, W * W),
    case("geomspace of negative numbers", lambda x: np.geomspace(-x, -9.0, 3, endpoint=False), W),
    case("linspace of none", lambda x: np.linspace(x, 3.0, 0), Z),
]
PADDING = [
    case("pad", lambda x: np.pad(x, 2), V),
    case("pad pair", lambda x: np.pad(x, (1, 2)), A),
    case("pad pairs", lambda x: np.pad(x, ((1, 0), (0, 2))), A),
    case("pad constant", lambda x: np.pad(x, 1, constant_values=3.0), A),
    case("pad constants", lambda x: np.pad(x, 1, constant_values=((1, 2), (3, 4))), A),
    case("pad traced constant", lambda x, y: np.pad(x, (1, 2), constant_values=y), V, Z),
    case("pad nothing", lambda x: np.pad(x, 0, "edge"), A),
    *[
        case(f"pad {mode} {width}", lambda x, m=mode, w=width: np.pad(x, w, m), x)
        for mode in ("edge", "reflect", "symmetric", "wrap", "linear_ramp", "maximum", "minimum")
        for width, x in ((2, V), ((0, 3), V), ((2, 1), A), (7, W), (2, ONE))
    ],
    case("pad mean", lambda x: np.pad(x, 2, "mean"), A),
    case("pad mean of some", lambda x: np.pad(x, 2, "mean", stat_length=2), V),
    case("pad mean of others", lambda x: np.pad(x, 2, "mean", stat_length=((1, 2), (3, 9))), A),
    case("pad maximum of some", lambda x: np.pad(x, (2, 1), "maximum", stat_length=(2, 3)), V),
    case("pad odd", lambda x: np.pad(x, 2, "reflect", reflect_type="odd"), V),
    case("pad odd symmetric", lambda x: np.pad(x, (2, 1), "symmetric", reflect_type="odd"), V),
    case("pad ramp", lambda x: np.pad(x, 2, "linear_ramp", end_values=(4.0, -1.0)), V),
    case("pad ramp of a matrix", lambda x: np.pad(x, 2, "linear_ramp", end_values=3), A),
]
SELECTION = [
    case("take", lambda x: np.take(x, [0, 3, 3]), A),
    case("take axis", lambda x: np.take(x, np.array([[0, 2], [1, 1]]), axis=1), A),
    case("take one", lambda x: np.take(x, 1, axis=-1), A),
    case("take negative", lambda x: np.take(x, [-1, 0], axis=0), A),
    case("take wrap", lambda x: np.take(x, [4, -7], axis=1, mode="wrap"), A),
    case("take clip", lambda x: np.take(x, [4, -7], axis=1, mode="clip"), A),
    case("take_along_axis", lambda x: np.take_along_axis(x, np.array([[2, 0], [1, 1]]), 1), A),
    case("take_along_axis of the first", lambda x: np.take_along_axis(x, K[:1] % 2, 0), A),
    case("take_along_axis flat", lambda x: np.take_along_axis(x, np.array([5, 0]), None), A),
    case("compress", lambda x: np.compress([True, False, True], x, axis=1), A),
    case("compress flat", lambda x: np.compress([False, True, False, True], x), A),
    case("extract", lambda x: np.extract(T, x), A),
    case("select", lambda x: np.select([x < 0.8, x < 1.4], [x, x**2], 3.0), A),
    case("select without default", lambda x: np.select([x < 1.0], [x]), V),
    case("select broadcast", lambda x, y: np.select([x < 1.0, x > 1.5], [y, 2.0 * x], y), A, Z),
    case("choose", lambda x, y: np.choose(K % 2, [x, y]), A, A),
    case("choose three", lambda x, y: np.choose(np.array([0, 2, 1]), (x, y, 7.0)), W, Z),
    case("choose rows", lambda x: np.choose(np.array([1, 0, 1]), x), A),
    case("choose wrap", lambda x: np.choose(K, x, mode="wrap"), A),
    case("choose clip", lambda x: np.choose(K, x, mode="clip"), A),
    case("choose traced", lambda x: np.choose((x > 1).astype(int), [x, x**2]), A),
    case("choose one", lambda x: np.choose(np.zeros((2, 1), int), [x]), W),
    case("piecewise", lambda x: np.piecewise(x, [x < 1, x >= 1], [lambda t: t**2, np.exp]), V),
    case("piecewise numbers", lambda x: np.piecewise(x, [x < 0.9, x > 1.5], [-1, np.sin, 4]), V),
    case("piecewise of one", lambda x: np.piecewise(x, x < 1, [np.sin, np.cos]), V),
    case("piecewise of a number", lambda x: np.piecewise(x, [x < 1], [np.sin, np.cos]), Z),
    case("piecewise later wins", lambda x: np.piecewise(x, [x > 0, x > 1], [np.sin, np.cos]), V),
    case(
        "piecewise arguments",
        lambda x: np.piecewise(x, [x > 1], [lambda t, a, b: a * t + b], 2.0, b=3.0),
        V,
    ),
    case("apply_along_axis", lambda x: np.apply_along_axis(np.sum, 1, x), A),
    case("apply_along_axis to vectors", lambda x: np.apply_along_axis(np.diff, 1, x), C),
    case("apply_along_axis to matrices", lambda x: np.apply_along_axis(np.diag, 0, x), B),
    case("tril_indices_from", lambda x: x[np.tril_indices_from(x, -1)], S),
    case("triu_indices_from", lambda x: x[np.triu_indices_from(x)], S),
    case("diag_indices_from", lambda x: x[np.diag_indices_from(x)], S),
    case("apply_over_axes", lambda x: np.apply_over_axes(np.sum, x, [0, 2]), C),
]
STATISTICS = [
    case("ptp", np.ptp, A),
    case("ptp axis", lambda x: np.ptp(x, axis=-1, keepdims=True), A),
    case("average", np.average, A),
    case("average axis", lambda x: np.average(x, axis=0), A),
    case("average weights", lambda x, w: np.average(x, weights=w), A, A[::-1]),
    case("average weights of an axis", lambda x, w: np.average(x, 1, w), A, W),
    case("average keepdims", lambda x, w: np.average(x, -1, w, keepdims=True), A, W),
    case("average returned", lambda x, w: np.average(x, 1, w, returned=True), A, W),
    case("average returned without weights", lambda x: np.average(x, 1, returned=True), A),
    case("cov", np.cov, A),
    case("cov of a vector", np.cov, V),
    case("cov of two", np.cov, V, V**2),
    case("cov of columns", lambda x: np.cov(x, rowvar=False), B),
    case("cov bias", lambda x: np.cov(x, bias=True), A),
    case("cov ddof", lambda x: np.cov(x, ddof=0), A),
    case("cov fweights", lambda x: np.cov(x, fweights=np.array([1, 3, 2])), A),
    case("cov aweights", lambda x, w: np.cov(x, aweights=w), A, W),
    case("cov both", lambda x, w: np.cov(x, fweights=np.array([1, 3, 2]), aweights=w), A, W),
    case("corrcoef", np.corrcoef, S),
    case("corrcoef of two", np.corrcoef, V, np.sin(3 * V)),
    case("mean where", lambda x: np.mean(x, where=T), A),
    case("mean where axis", lambda x: np.mean(x, axis=1, where=T, keepdims=True), A),
    case("mean where broadcast", lambda x: np.mean(x, axis=0, where=T[0] | True), A),
    case("var where", lambda x: np.var(x, axis=1, where=T), A),
    case("std where", lambda x: np.std(x, where=T, ddof=1), A),
    case("var correction", lambda x: np.var(x, axis=1, correction=1), A),
    case("var mean", lambda x: np.var(x, 1, mean=np.mean(x, 1, keepdims=True)), A),
    case("prod where", lambda x: np.prod(x, axis=0, where=T), A),
    case("prod initial", lambda x: np.prod(x, initial=2.0), A),
    case("sum where", lambda x: np.sum(x, axis=0, where=T, initial=1.0), A),
    case("max initial", lambda x: np.max(x, axis=0, initial=1.2), A),
    case("max where", lambda x: np.max(x, axis=1, where=T, initial=0.0), A),
    case("min where", lambda x: np.min(x, where=T, initial=9.0, keepdims=True), A),
    *[
        case(f"{f.__name__} {kwargs}", lambda x, f=f, kwargs=kwargs: f(x, **kwargs), A)
        for f in (np.nansum, np.nanprod, np.nanmean, np.nanvar, np.nanstd, np.nanmax, np.nanmin)
        for kwargs in ({}, {"axis": 1}, {"axis": -1, "keepdims": True})
    ],
    case("nansum of gaps", lambda x: np.nansum(np.where(T, x, np.nan), axis=1), A),
    case("nanprod of gaps", lambda x: np.nanprod(np.where(T, x, np.nan), axis=0), A),
    case("nanmean of gaps", lambda x: np.nanmean(np.where(T, x, np.nan), axis=0), A),
    case("nanvar of gaps", lambda x: np.nanvar(np.where(T, x, np.nan), axis=1, ddof=1), A),
    case("nanstd of gaps", lambda x: np.nanstd(np.where(T, x, np.nan)), A),
    case("nanmax of gaps", lambda x: np.nanmax(np.where(T, x, np.nan), axis=0), A),
    case("nanmin of gaps", lambda x: np.nanmin(np.where(T, x, np.nan), keepdims=True), A),
    case("nansum where", lambda x: np.nansum(x, where=T, initial=1.0), A),
    case("nanmean where", lambda x: np.nanmean(x, 1, where=T), A),
    case("bincount", lambda x: np.bincount(np.array([1, 0, 1, 4, 1]), x), V),
    case("bincount minlength", lambda x: np.bincount([1, 0, 1], x, minlength=5), W),
]
SIGNALS = [
    case("diff", np.diff, A),
    case("diff 2", lambda x: np.diff(x, 2), V),
    case("diff 0", lambda x: np.diff(x, 0), V),
    case("diff axis", lambda x: np.diff(x, axis=0), A),
    case("diff beyond", lambda x: np.diff(x, 4), A),
    case("diff prepend", lambda x: np.diff(x, prepend=0.0), A),
    case("diff append", lambda x, y: np.diff(x, axis=0, append=y), A, A[:1]),
    case("diff both", lambda x, y: np.diff(x, prepend=y, append=[1.0, 2.0]), V, Z),
    case("ediff1d", np.ediff1d, A),
    case("ediff1d with ends", lambda x, y: np.ediff1d(x, to_end=[1.0, 2.0], to_begin=y), V, Z),
    case("gradient", np.gradient, V),
    case("gradient of a matrix", np.gradient, S),
    case("gradient axis", lambda x: np.gradient(x, axis=1), A),
    case("gradient axes", lambda x: np.gradient(x, axis=(1, 0)), S),
    case("gradient of a stack", lambda x: np.gradient(x, 2.0, axis=-2), C),
    case("gradient spacing", lambda x: np.gradient(x, 0.5), V),
    case("gradient traced spacing", np.gradient, V, Z),
    case("gradient spacings", lambda x: np.gradient(x, 0.5, 2.0), A),
    case("gradient coordinates", lambda x: np.gradient(x, AT), V),
    case("gradient even coordinates", lambda x: np.gradient(x, np.arange(5)), V),
    case("gradient traced coordinates", np.gradient, V, AT),
    case("gradient mixed", lambda x, t: np.gradient(x, 2.0, t), S, AT[:3]),
    case("gradient edge 2", lambda x: np.gradient(x, edge_order=2), V),
    case("gradient edge 2 coordinates", lambda x: np.gradient(x, AT, edge_order=2), V),
    case("gradient edge 2 axis", lambda x, t: np.gradient(x, t, axis=0, edge_order=2), S, AT[:3]),
    case("gradient of two", lambda x: np.gradient(x[:2]), V),
    case("trapezoid", np.trapezoid, V),
    case("trapezoid dx", lambda x: np.trapezoid(x, dx=0.5), A),
    case("trapezoid axis", lambda x: np.trapezoid(x, axis=0), A),
    case("trapezoid x", np.trapezoid, V, AT),
    case("trapezoid x of an axis", lambda y, x: np.trapezoid(y, x, axis=1), A, W),
    case("trapezoid x of all", lambda y, x: np.trapezoid(y, x, axis=0), A, A**2),
    *[
        case(f"{f.__name__} {mode} {x.size} {y.size}", lambda x, y, f=f, m=mode: f(x, y, m), x, y)
        for f in (np.convolve, np.correlate)
        for mode in ("full", "same", "valid")
        for x, y in ((V, W), (W, V), (V, A[:, 0]), (W, np.append(V, 1.0)), (V, ONE), (V, V[::-1]))
    ],
    case("convolve with itself", lambda x: np.convolve(x, x[::-1]), W),
    case("convolve with a constant", lambda x: np.convolve(x, [1.0, -1.0], "same"), V),
    case("correlate default", np.correlate, V, W),
    case("sinc", np.sinc, np.array([-1.5, -0.3, 0.0, 0.002, 0.5, 1.25])),
]
POLYNOMIALS = [
    case("polyval", np.polyval, W, V),
    case("polyval of a matrix", np.polyval, W, A),
    case("polyval of numbers", lambda x: np.polyval([1.0, 2, 3], x), Z),
    case("polyval of traced coefficients", lambda p: np.polyval(p, [1.0, 2.0]), W),
    case("polyadd", np.polyadd, V, W),
    case("polyadd, shorter first", np.polyadd, W, V),
    case("polyadd, number", np.polyadd, V, Z),
    case("polysub", np.polysub, W, V),
    case("polymul", np.polymul, V, W),
    case("polyder", np.polyder, V),
    case("polyder 2", lambda p: np.polyder(p, 2), V),
    case("polyint", np.polyint, W),
    case("polyint 2", lambda p: np.polyint(p, 2, [1.0, 2.0]), W),
    case("polyint k", lambda p, k: np.polyint(p, 2, k), W, ONE),
    case("poly", np.poly, W),
]
LINEAR_ALGEBRA = [
    *[
        case(f"norm {order} {axis}", lambda x, o=order, a=axis: np.linalg.norm(x, o, a), x)
        for order, axis, x in (
            (None, None, C),
            (None, 1, A),
            (None, (0, 2), C),
            (0.5, 0, A),
            (-1, 1, A),
            (0, 1, A),
            (2, 0, A),
            (-np.inf, 1, A),
            ("fro", (1, 2), C),
            (1, None, A),
            (-1, None, A),
            (np.inf, None, A),
            (-np.inf, (2, 0), C),
            (1, (0, 1), C),
            (np.inf, (-1, 0), C),
        )
    ],
    case("norm matrix keepdims", lambda x: np.linalg.norm(x, 1, (0, 2), keepdims=True), C),
    case("vector_norm", np.linalg.vector_norm, A),
    case("vector_norm axes", lambda x: np.linalg.vector_norm(x, axis=(0, 2)), C),
    case("vector_norm 1", lambda x: np.linalg.vector_norm(x, axis=1, ord=1, keepdims=True), A),
    case("vector_norm 3", lambda x: np.linalg.vector_norm(x, ord=3, keepdims=True), A),
    case("matrix_norm", np.linalg.matrix_norm, C),
    case("matrix_norm 1", lambda x: np.linalg.matrix_norm(x, ord=1, keepdims=True), C),
    case("matrix_norm -inf", lambda x: np.linalg.matrix_norm(x, ord=-np.inf), C),
    case("cross", np.cross, W, S[0]),
    case("cross of rows", np.cross, S, S.T),
    case("cross broadcast", np.cross, S, W),
    case("cross axis", lambda x, y: np.cross(x, y, axis=0), B, B[::-1]),
    case("cross axes", lambda x, y: np.cross(x, y, axisa=0, axisb=1, axisc=0), B, A),
    case("linalg.cross", np.linalg.cross, S, S.T),
    case("linalg.cross axis", lambda x, y: np.linalg.cross(x, y, axis=0), S, S.T),
    case("linalg.outer", np.linalg.outer, V, W),
    case("linalg.matmul", np.linalg.matmul, A, B),
    case("linalg.tensordot", lambda x, y: np.linalg.tensordot(x, y, axes=1), A, B),
    case("linalg.trace", lambda x: np.linalg.trace(x, offset=1), C),
    case("linalg.diagonal", lambda x: np.linalg.diagonal(x, offset=-1), C),
    case("linalg.vecdot", np.linalg.vecdot, A, W),
    case("linalg.vecdot axis", lambda x, y: np.linalg.vecdot(x, y, axis=0), A, A[::-1]),
    case("vecdot", np.vecdot, A, A[::-1]),
    case("vecdot axis", lambda x, y: np.vecdot(x, y, axis=0), A, A[::-1]),
    case("multi_dot", lambda x, y, z: np.linalg.multi_dot([x, y, z]), A, B, A),
    case("multi_dot vectors", lambda x, y, z: np.linalg.multi_dot([x, y, z]), W, S, S[0]),
    case("multi_dot row", lambda x, y: np.linalg.multi_dot([x, y, y]), W, S),
    case("multi_dot four", lambda x, y: np.linalg.multi_dot([x, y, x, y]), A, B),
    *[case(f"matrix_power {n}", lambda x, n=n: np.linalg.matrix_power(x, n), S) for n in range(6)],
    case("matrix_power of a stack", lambda x: np.linalg.matrix_power(x, 3), C[:, :2]),
    case("einsum with lists", lambda x, y: np.einsum(x, [0, 1], y, [1, 2], [0, 2]), A, B),
    case("einsum with lists, implicit", lambda x, y: np.einsum(x, [0, 1], y, [1, 2]), A, B),
    case("einsum with lists and dots", lambda x: np.einsum(x, [..., 0], [0, ...]), C),
    case(
        "einsum by a path",
        lambda x, y, z: np.einsum("ij,jk,kl", x, y, z, optimize=["einsum_path", (1, 2), (0, 1)]),
        A,
        B,
        A,
    ),
    case(
        "einsum of four",
        lambda x, y: np.einsum("ij,jk,kl,lm->im", x, y, x, y, optimize=True),
        A,
        B,
    ),
    case(
        "einsum by its path",
        lambda x, y: np.einsum("ij,jk->ik", x, y, optimize=np.einsum_path("ij,jk->ik", x, y)[0]),
        A,
        B,
    ),
    case("inner of a stack", np.inner, C, B.T @ B),
    case("inner of stacks", np.inner, C, C[0]),
    case("dot of a stack and a vector", np.dot, C, A[:, 0]),
    case("outer of a matrix", np.outer, A, W),
    case("add.outer", np.add.outer, W, A),
    case("subtract.outer", np.subtract.outer, A, W),
    case("divide.outer", np.divide.outer, W, V),
    case("fmax.reduce", np.fmax.reduce, A),
    case("fmin.reduce", lambda x: np.fmin.reduce(x, axis=1, keepdims=True), A),
    case("maximum.outer", np.maximum.outer, np.array([1.0, 3.0]), np.array([2.0, 4.0])),
]
if hasattr(np, "matvec"):
    LINEAR_ALGEBRA += [
        case("matvec", np.matvec, C, A[:, :2]),
        case("vecmat", np.vecmat, A, C),
    ]
POINTWISE = [
    case("nan_to_num", np.nan_to_num, A),
    case("nan_to_num of gaps", lambda x: np.nan_to_num(np.where(T, x, np.nan), nan=7.0), A),
    case("real", np.real, A),
    case("imag", np.imag, A),
    case("real_if_close", np.real_if_close, A),
    case("astype", lambda x: np.astype(x, np.float64), A),
    case("result_type", lambda x: x * np.ones(1, np.result_type(x, np.float32)), A),
]
LINEAR = [*SPLITTING, *ASSEMBLY, *PADDING, *POINTWISE]
NONLINEAR = [*SELECTION, *STATISTICS, *SIGNALS, *POLYNOMIALS, *LINEAR_ALGEBRA]
SMOOTH = [*LINEAR, *NONLINEAR]

KINDS = {
    "whole": K,
    "int32": K.astype("i4"),
    "uint8": np.abs(K).astype("u1"),
    "truth": T,
    "single": F,
}
REDUCTIONS = [
    np.sum, np.mean, np.var, np.std, np.prod, np.max, np.min, np.any, np.all, np.ptp, np.average,
    np.count_nonzero, np.argmax, np.argmin, np.nansum, np.nanprod, np.nanmean, np.nanvar,
    np.nanstd, np.nanmax, np.nanmin, np.nanargmax, np.nanargmin,
]  # fmt: skip
DTYPES = [
    *[
        case(f"{f.__name__} of {kind}, {kwargs}", lambda x, f=f, kwargs=kwargs: f(x, **kwargs), x)
        for f in REDUCTIONS
        for kind, x in KINDS.items()
        for kwargs in ({}, {"axis": -1})
        if not (f is np.ptp and kind == "truth")
    ],
    *[
        case(f"{name} of {kind}", f, x)
        for kind, x in KINDS.items()
        for name, f in {
            "tile": lambda x: np.tile(x, 2),
            "repeat": lambda x: np.repeat(x, [1, 2, 0], axis=1),
            "roll": lambda x: np.roll(x, 1),
            "kron": lambda x: np.kron(x, x),
            "tril": np.tril,
            "triu": lambda x: np.triu(x, 1),
            "append": lambda x: np.append(x, x),
            "insert": lambda x: np.insert(x, 1, 1, axis=1),
            "resize": lambda x: np.resize(x, 4),
            "vander": lambda x: np.vander(x[0]),
            "linspace": lambda x: np.linspace(x[0], x[1], 3),
            "pad": lambda x: np.pad(x, 1, constant_values=1),
            "pad by zeros": lambda x: np.pad(x, 1),
            "pad mode": lambda x: np.pad(x, 2, "symmetric"),
            "pad mean": lambda x: np.pad(x * 1, 2, "mean") if x.dtype != bool else x,
            "pad maximum": lambda x: np.pad(x, 2, "maximum"),
            "pad ramp": lambda x: np.pad(x, 2, "linear_ramp") if x.dtype != bool else x,
            "select": lambda x: np.select([x > 0], [x], 1),
            "choose": lambda x: np.choose([0, 1, 0], x),
            "piecewise": lambda x: np.piecewise(x, [x > 0], [1, 2]),
            "average weights": lambda x: np.average(x, 1, np.array([1, 2, 3])),
            "average returned": lambda x: np.average(x, 0, returned=True),
            "cov": np.cov,
            "diff": np.diff,
            "ediff1d": lambda x: np.ediff1d(x) if x.dtype != bool else x,
            "gradient": lambda x: np.gradient(x, axis=1) if x.dtype != bool else x,
            "trapezoid": lambda x: np.trapezoid(x) if x.dtype != bool else x,
            "convolve": lambda x: np.convolve(x[0], x[1]),
            "correlate": lambda x: np.correlate(x[0], x[1], "same"),
            "sinc": np.sinc,
            "polyval": lambda x: np.polyval(x[0], x),
            "polyval of numbers": lambda x: np.polyval([1, 2], x),
            "polyadd": lambda x: np.polyadd(x[0], [1]),
            "polymul": lambda x: np.polymul(x[0], x[1]),
            "polyder": lambda x: np.polyder(x[0]),
            "polyint": lambda x: np.polyint(x[0]),
            "norm": np.linalg.norm,
            "norm 1": lambda x: np.linalg.norm(x[0], 1),
            "norm inf": lambda x: np.linalg.norm(x, np.inf),
            "norm 0": lambda x: np.linalg.norm(x[0], 0),
            "cross": lambda x: np.cross(x, x[0]) if x.dtype != bool else x,
            "matmul": lambda x: x @ x.T,
            "dot": lambda x: np.dot(x, x[0]),
            "vecdot": lambda x: np.vecdot(x, x),
            "matrix_power": lambda x: np.linalg.matrix_power(x @ x.T, 3),
            "matrix_power 0": lambda x: np.linalg.matrix_power(x @ x.T, 0),
            "einsum": lambda x: np.einsum("ij->i", x),
            "trace": np.trace,
            "isclose": lambda x: np.isclose(x, 1),
            "allclose": lambda x: np.allclose(x, x),
            "array_equal": lambda x: np.array_equal(x, x[::-1]),
            "array_equal of other shapes": lambda x: np.array_equal(x, x[0]),
            "array_equiv": lambda x: np.array_equiv(x[:1], x[0]),
            "array_equiv of other shapes": lambda x: np.array_equiv(x, x[0, :2]),
            "isin": lambda x: np.isin(x, [1, 9]),
            "isin inverted": lambda x: np.isin(x, x[0], invert=True),
            "isreal": np.isreal,
            "iscomplex": np.iscomplex,
            "isposinf": np.isposinf,
            "nan_to_num": np.nan_to_num,
            "angle": lambda x: np.angle(x) if x.dtype != np.uint8 else x,
            "angle in degrees": lambda x: np.angle(x, deg=True) if x.dtype != np.uint8 else x,
            "imag": np.imag,
            "round": lambda x: np.round(x) if x.dtype != bool else x,
            "round 1": lambda x: np.round(x, 1) if x.dtype != bool else x,
            "round -1": lambda x: np.round(x, -1) if x.dtype != bool else x,
            "fix": np.fix,
            "unravel_index": lambda x: np.unravel_index(np.argmax(x), (2, 3)),
            "max initial": lambda x: np.max(x, axis=1, initial=0),
            "max where": lambda x: np.max(x, where=x > 1, initial=0),
            "sum where": lambda x: np.sum(x, where=x > 1),
            "prod where": lambda x: np.prod(x, where=x > 1),
            "mean where": lambda x: np.mean(x, where=x > 0),
            "any where": lambda x: np.any(x, axis=0, where=T),
            "all where": lambda x: np.all(x, axis=0, where=T),
            "empty_like": lambda x: np.empty_like(x) * 0,
            "add.outer": lambda x: np.add.outer(x[0], x[1]),
        }.items()
    ],
]
EXTREMES = [
    *[
        case(f"{f.__name__} of gaps, {kwargs}", lambda x, f=f, kwargs=kwargs: f(x, **kwargs), GAPS)
        for f in (np.nansum, np.nanprod, np.nanmean, np.nanvar, np.nanstd, np.nanmax, np.nanmin)
        for kwargs in ({}, {"axis": 0}, {"axis": 1}, {"axis": (0, 1), "keepdims": True})
    ],
    *[
        case(f"{f.__name__} {kwargs} of ties", lambda x, f=f, kwargs=kwargs: f(x, **kwargs), x)
        for f in (np.argmax, np.argmin)
        for kwargs in ({}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"keepdims": True})
        for x in (GAPS, np.array([[2.0, 1.0], [2.0, 1.0]]), C, np.array([[-np.inf, np.inf]]))
    ],
    case("argmax of a number", np.argmax, Z),
    case("argmax of nothing's axis", lambda x: np.argmax(x, axis=1), E0),
    case("nanargmax", lambda x: np.nanargmax(x, axis=0), GAPS),
    case("nanargmin keepdims", lambda x: np.nanargmin(x, axis=0, keepdims=True), GAPS),
    case("nan_to_num", np.nan_to_num, INFINITE),
    case("nan_to_num of float32", np.nan_to_num, INFINITE.astype("f4")),
    case("nan_to_num with numbers", lambda x: np.nan_to_num(x, True, 1, 2.0, -3.0), INFINITE),
    case("isclose of infinities", lambda x: np.isclose(x, x[::-1]), INFINITE),
    case("isclose of NaN", lambda x: np.isclose(x, x, equal_nan=True), INFINITE),
    case("isclose tolerances", lambda x: np.isclose(x, 1.0, rtol=0.2, atol=0.1), A),
    case("array_equal of NaN", lambda x: np.array_equal(x, x), INFINITE),
    case("array_equal of equal NaN", lambda x: np.array_equal(x, x, equal_nan=True), INFINITE),
    case("isposinf", np.isposinf, INFINITE),
    case("isneginf", np.isneginf, INFINITE),
    case("linspace of float32 to a number", lambda x: np.linspace(x, 1, 3), F),
    case("sum of whole numbers with a fraction", lambda x: np.sum(x, initial=2.5), K),
    case("norm inf of nothing", lambda x: np.linalg.norm(x, np.inf, axis=1), np.zeros((2, 0))),
    case("sum of a number's axis", lambda x: np.sum(x, axis=0), Z),
    case("argmin of a number's axis", lambda x: np.argmin(x, axis=-1), Z),
    case("repeat a number's axis", lambda x: np.repeat(x, 2, axis=0), Z),
    case("take from a number", lambda x: np.take(x, [0, 0], axis=-1), Z),
    case("column_stack of numbers", lambda x: np.column_stack([x, x]), Z),
    case("einsum dots that stand for nothing", lambda x: np.einsum("...i->i", x), V),
    case("apply_over_axes to a number", lambda x: np.apply_over_axes(np.sum, x, 0), Z),
    case("zeros_like shape", lambda x: np.zeros_like(x, shape=(2, 2)), V),
    case("angle", np.angle, np.array([-2.0, 0.0, 3.0])),
    case("round", lambda x: np.round(x, 2), A),
    case("round negative", lambda x: np.round(x, -2), 1000 * A),
    case("fix", np.fix, 3 * A - 4),
    case("polyval of infinities", lambda x: np.polyval([1.0, 2.0], x), INFINITE),
    case("var of too few", lambda x: np.var(x, axis=0, ddof=3), A),
    case("cov of too few", lambda x: np.cov(x, ddof=5), A),
    case("max of NaN with initial", lambda x: np.max(x, initial=5.0), INFINITE),
    case("sinc", np.sinc, np.linspace(-0.004, 0.004, 9)),
    *[
        case(f"{name} of nothing", f, E0)
        for name, f in {
            "tile": lambda x: np.tile(x, (2, 2)),
            "repeat": lambda x: np.repeat(x, 2, axis=1),
            "roll": lambda x: np.roll(x, 1, axis=0),
            "roll flat": lambda x: np.roll(x, 1),
            "kron": lambda x: np.kron(x, x),
            "append": lambda x: np.append(x, [1.0]),
            "insert": lambda x: np.insert(x, 0, 1.0, axis=0),
            "pad": lambda x: np.pad(x, 1),
            "tril": np.tril,
            "split": lambda x: np.split(x, 3, axis=1),
            "array_split": lambda x: np.array_split(x, 2),
            "diff": lambda x: np.diff(x, axis=0),
            "prod": np.prod,
            "prod axis": lambda x: np.prod(x, axis=0),
            "prod of the other axis": lambda x: np.prod(x, axis=1),
            "sum": lambda x: np.sum(x, axis=0),
            "max initial": lambda x: np.max(x, initial=2.0),
            "max initial of an axis": lambda x: np.max(x, axis=0, initial=2.0),
            "mean": lambda x: np.mean(x, axis=0),
            "count_nonzero": np.count_nonzero,
            "nansum": lambda x: np.nansum(x, axis=0),
            "allclose": lambda x: np.allclose(x, x),
            "flipud": np.flipud,
            "rot90": np.rot90,
            "norm": lambda x: np.linalg.norm(x, axis=1),
            "meshgrid": lambda x: np.meshgrid(x, [1.0, 2.0]),
            "resize": lambda x: np.resize(x, (2, 2)),
            "block": lambda x: np.block([[x], [x]]),
            "trapezoid": lambda x: np.trapezoid(x, axis=0),
            "matmul": lambda x: x.T @ x,
        }.items()
    ],
]  # fmt: skip


def leaves(result: Any) -> list[np.ndarray]:
    if isinstance(result, (list, tuple)):
        return [leaf for part in result for leaf in leaves(part)]
    return [np.asarray(result)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning")  # NumPy 2.5
@pytest.mark.parametrize(("f", "args"), [*SMOOTH, *DTYPES, *EXTREMES])
def test_values_and_dtypes_are_those_of_numpy(f, args):
    want = f(*args)
    got = sd.jit(f)(*args)
    assert type(got) is type(want) or not isinstance(want, (list, tuple))
    for g, w in zip(leaves(got), leaves(want), strict=True):
        close = {"rtol": 1e-5, "atol": 1e-6} if w.dtype == np.float32 else {"rtol": 1e-12}
        np.testing.assert_allclose(g, w, **{"atol": 1e-14, **close}, strict=True)


@pytest.mark.parametrize(("f", "args"), LINEAR)
def test_derivatives_are_those_of_differences(f, args):
    sd.check_derivatives(f, *args, orders=(1,), n_directions=1)


@pytest.mark.parametrize(("f", "args"), NONLINEAR)
def test_first_and_second_derivatives_are_those_of_differences(f, args):
    sd.check_derivatives(f, *args, orders=(1, 2), n_directions=1, rtol=1e-4, atol=1e-6)


def flat(f: Any, args: Any) -> Any:
    """The function of the first argument alone, its results laid out in one vector."""

    def call(x):
        result = f(x, *args[1:])
        parts = result if isinstance(result, (list, tuple)) else [result]
        return np.concatenate([np.ravel(part) for part in parts])

    return call


@pytest.mark.parametrize(("f", "args"), SMOOTH[::7])
def test_forward_and_reverse_mode_give_one_jacobian(f, args):
    """Entry by entry: a product along a direction can hide a wrong place."""
    x, call = args[0], flat(f, args)
    got = np.asarray(sd.jacobian(call)(x)).reshape(-1, x.size)
    columns = [np.ravel(sd.jvp(call, x, e.reshape(x.shape))[1]) for e in np.eye(x.size)]
    value, pull = sd.vjp(call, x)
    rows = [np.ravel(pull(e)[0]) for e in np.eye(value.size)]
    np.testing.assert_allclose(got, np.array(columns).T, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(np.reshape(rows, got.shape), got, rtol=1e-12, atol=1e-13)


SYMBOLIC = {
    "tile": lambda x: np.tile(x, 2),
    "repeat": lambda x: np.repeat(x, 2),
    "repeat axis": lambda x: np.repeat(x, 3, axis=0),
    "roll": lambda x: np.roll(x, 1),
    "roll axis": lambda x: np.roll(x, -2, axis=0),
    "pad": lambda x: np.pad(x, 1),
    "pad edge": lambda x: np.pad(x, 1, "edge"),
    "pad ramp": lambda x: np.pad(x, 2, "linear_ramp"),
    "pad mean": lambda x: np.pad(x, 2, "mean"),
    "kron": lambda x: np.kron(x, x),
    "append": lambda x: np.append(x, x),
    "insert": lambda x: np.insert(x, 1, 3.0),
    "insert row": lambda x: np.insert(x, 1, 3.0, axis=0),
    "delete": lambda x: np.delete(x, 1),
    "tril": np.tril,
    "triu": lambda x: np.triu(x, 1),
    "diff": lambda x: np.diff(x, axis=0),
    "gradient": lambda x: np.gradient(x, axis=0),
    "trapezoid": lambda x: np.trapezoid(x, axis=0),
    "argmax": np.argmax,
    "argmin": lambda x: np.argmin(x, axis=0),
    "nanmean": np.nanmean,
    "nanvar": lambda x: np.nanvar(x, ddof=1),
    "average": lambda x: np.average(x, axis=0, returned=True),
    "cov": lambda x: np.cov(x, rowvar=False),
    "var": lambda x: np.var(x, axis=0, ddof=2),
    "norm": lambda x: np.linalg.norm(x, 1),
    "multi_dot": lambda x: np.linalg.multi_dot([x.T, x, x.T]),
    "select": lambda x: np.select([x > 1], [x]),
    "piecewise": lambda x: np.piecewise(x, [x > 1], [np.sin, np.cos]),
    "polyval": lambda x: np.polyval([1.0, 2.0, 3.0], x),
    "trace": np.trace,
    "vander": lambda x: np.vander(x[:, 0], 3),
    "convolve": lambda x: np.convolve(x[:, 0], x[:, 1]),
    "correlate": lambda x: np.correlate(x[:, 0], [1.0, 2.0]),
    "meshgrid": lambda x: np.meshgrid(x[:, 0], [1.0, 2.0]),
    "split": lambda x: np.split(x, [2]),
    "polyadd": lambda x: np.polyadd(x[:, 0], [1.0, 2.0]),
    "isin": lambda x: np.isin(x, x[0]),
}
MATRIX = rng.uniform(0.5, 2.0, (9, 3))


@pytest.mark.parametrize("f", SYMBOLIC.values(), ids=SYMBOLIC)
def test_leading_sizes_stay_symbols(f):
    (name,) = sd.trace(f, MATRIX).inputs
    assert not isinstance(sd.trace(f, MATRIX).types[name].shape[0], int)


# a covariance, or a variance, of fewer observations than NumPy wants is NaN or infinite, as there
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "f",
    [
        *SYMBOLIC.values(),
        lambda x: np.pad(x, 3, "reflect"),
        lambda x: np.pad(x, 2, "wrap"),
        lambda x: np.convolve(x[:, 0], [1.0, 2.0, 3.0], "same"),
        lambda x: np.roll(x, 7, axis=0),
        lambda x: np.resize(x, 5),
        lambda x: np.array_split(x, 2),
        lambda x: np.diagonal(x, -1),
        lambda x: np.diagonal(x, 2),
    ],
)
def test_one_function_serves_other_lengths(f):
    """Guards have to send other sizes to a new trace wherever a decision was another."""
    function = sd.jit(f)
    for length in (9, 3, 2, 8, 1):
        x = MATRIX[:length]
        try:
            want = f(x)
        except (ValueError, IndexError):
            with pytest.raises(sd.ShapeError):
                function(x)
            continue
        for g, w in zip(leaves(function(x)), leaves(want), strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-12, strict=True)


def test_sinc_has_right_derivatives_at_zero():
    first, second = sd.grad(np.sinc), sd.grad(sd.grad(np.sinc))
    assert first(0.0) == 0.0
    np.testing.assert_allclose(second(0.0), -(np.pi**2) / 3, rtol=1e-12)


def test_an_argmax_carries_no_derivative_and_can_choose():
    def at_the_top(x, y):
        return np.sum(np.where(np.arange(5) == np.argmax(x), y, 0.0))

    gx, gy = sd.grad(at_the_top, (0, 1))(V, V)
    np.testing.assert_array_equal(gx, np.zeros(5))
    np.testing.assert_array_equal(gy, np.arange(5) == np.argmax(V))


def test_questions_about_types_are_answered_while_tracing():
    seen: list[Any] = []

    def f(x):
        seen.extend([np.result_type(x, np.float64), np.can_cast(x, np.int32), np.common_type(x)])
        seen.extend([np.iscomplexobj(x), np.isrealobj(x), np.shape(x), np.ndim(x), np.size(x, 1)])
        seen.append(np.array_repr(x) == np.array_str(x) == repr(x))
        return x

    sd.jit(f)(F)
    assert seen == [np.float64, False, np.float32, False, True, (2, 3), 2, 3, True]


REFUSED = [
    ("repeat by traced counts", lambda x: np.repeat(x, x), "counts"),
    ("roll by a traced shift", lambda x: np.roll(x, x), "plain number"),
    ("insert at traced positions", lambda x: np.insert(x, x, 1.0), "plain numbers"),
    ("pad by a median", lambda x: np.pad(x, 1, "median"), "median"),
    ("pad by a function", lambda x: np.pad(x, 1, lambda *_: None), "allowed are"),
    ("pad with a wrong keyword", lambda x: np.pad(x, 1, "edge", end_values=1), "end_values"),
    ("compress by a traced condition", lambda x: np.compress(x > 1, x), "np.where"),
    ("extract by a traced condition", lambda x: np.extract(x > 1, x), "np.where"),
    ("no norm", lambda x: np.linalg.norm(x[:, None] * x, 3), "'fro'"),
    ("nan_to_num in place", lambda x: np.nan_to_num(x, copy=False), "copy=False"),
    ("polynomial objects", lambda x: np.polyval(np.poly1d([1, 2]), x), "coeffs"),
    ("convolve mode", lambda x: np.convolve(x, x, "most"), "'valid'"),
    ("argmax out", lambda x: np.argmax(x, out=np.zeros((), int)), "out="),
    ("bincount of traced values", lambda x: np.bincount(x.astype(int), x), "depends on values"),
    ("gradient of third order", lambda x: np.gradient(x, edge_order=3), "edge_order"),
]
MISSHAPEN = [
    ("tile", lambda x: np.tile(x, -1), "negative"),
    ("repeat", lambda x: np.repeat(x, [1, 2]), "2 counts for 5"),
    ("split", lambda x: np.split(x, 2), "not equal"),
    ("array_split", lambda x: np.array_split(x, 0), "larger than 0"),
    ("dsplit", lambda x: np.dsplit(x, 1), "rank 1"),
    ("delete", lambda x: np.delete(x, 5), "out of bounds"),
    ("delete several", lambda x: np.delete(x, [0, -6]), "out of bounds"),
    ("insert", lambda x: np.insert(x, 6, 1.0), "out of bounds"),
    ("rot90", lambda x: np.rot90(x[:, None], 1, (0, 0)), "two different axes"),
    ("block", lambda x: np.block([[x], x]), "one depth"),
    ("sum", lambda x: np.sum(x, axis=(0, -1)), "duplicate"),
    ("prod", lambda x: np.prod(x, axis=(0, 0)), "duplicate"),
    ("argmax axes", lambda x: np.argmax(x, axis=(0,)), "one axis"),
    ("einsum dots", lambda x: np.einsum("...i->i", x[None]), "dots"),
    ("einsum letters", lambda x: np.einsum("i->ij", x), "letter"),
    ("diff", lambda x: np.diff(x, -1), "non-negative"),
    ("gradient", lambda x: np.gradient(x[:1]), "at least 2"),
    ("gradient coordinates", lambda x: np.gradient(x, [1.0, 2.0, 4.0]), "match the length"),
    ("convolve", lambda x: np.convolve(x, x[:0]), "empty"),
    ("average", lambda x: np.average(x, weights=x[:2]), "Axis must be specified"),
    ("select", lambda x: np.select([x > 1], [x, x]), "1 conditions for 2"),
    ("piecewise", lambda x: np.piecewise(x, [x > 1], [1, 2, 3]), "condition"),
    ("cross", lambda x: np.cross(x, x), "2 and 3"),
    ("multi_dot", lambda x: np.linalg.multi_dot([x]), "at least two"),
    ("matrix_power", lambda x: np.linalg.matrix_power(x, 2), "shape"),
    ("take_along_axis", lambda x: np.take_along_axis(x, np.zeros((1, 1), int), 0), "same rank"),
    ("argmax", lambda x: np.argmax(x[:0]), "no elements"),
    ("windows", lambda x: np.lib.stride_tricks.sliding_window_view(x, 6), "larger"),
    ("max where", lambda x: np.max(x, where=x > 1), "initial"),
    ("pad", lambda x: np.pad(x[:0], 1, "edge"), "empty axis"),
]


@pytest.mark.parametrize(("f", "match"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_what_is_refused_says_why(f, match):
    with pytest.raises(sd.UnsupportedOperationError, match=match):
        sd.trace(f, V)


@pytest.mark.parametrize(("f", "match"), [c[1:] for c in MISSHAPEN], ids=[c[0] for c in MISSHAPEN])
def test_what_does_not_fit_says_why(f, match):
    with pytest.raises(sd.ShapeError, match=match):
        sd.trace(f, V)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.roll(x, 0),
        lambda x: np.roll(x, 0, axis=0),
        lambda x: np.delete(x, []),
        lambda x: np.pad(x, 0, "edge"),
        np.nan_to_num,
        np.round,
        lambda x: np.append(x, []),
        lambda x: np.repeat(x, 1),
        lambda x: np.tile(x, 1),
    ],
)
@pytest.mark.parametrize("dtype", ["f8", "i8"])
def test_what_is_a_copy_in_numpy_is_one_here(f, dtype):
    """In-place arithmetic on the result must not reach the argument."""

    def change(x):
        y = x * 2
        z = f(y)
        z += 1
        return y, z

    x = np.arange(5).astype(dtype)
    for g, w in zip(sd.jit(change)(x), change(x), strict=True):
        np.testing.assert_array_equal(g, w)


@pytest.mark.parametrize(
    ("x", "order"),
    [
        (np.array([1.0, np.nan, 3.0, 2.0, 3.0, np.nan, -0.0, 0.0]), [2, 4, 3, 0, 6, 7, 1, 5]),
        (np.array([-(2**63), 2**63 - 1, 0, 0]), [1, 2, 3, 0]),
        (np.array([3, 1, 255], np.uint8), [2, 0, 1]),
        (np.array([False, True, False, True]), [1, 3, 0, 2]),
    ],
)
def test_descending_sorts(x, order):
    """A keyword of NumPy 2.5, whose answers these are; it's stable, and NaN goes last."""
    np.testing.assert_array_equal(sd.jit(lambda x: x.argsort(descending=True))(x), order)
    np.testing.assert_array_equal(sd.jit(lambda x: x.argsort(descending=False))(x), x.argsort())

    def in_place(x):
        y = x.copy()
        y.sort(descending=True)
        return y

    np.testing.assert_array_equal(sd.jit(in_place)(x), x[order])


def test_derivatives_of_descending_sorts():
    def f(x):
        y = x * x
        y.sort(descending=True)
        return np.sum(y[:2])

    np.testing.assert_array_equal(sd.grad(f)(np.array([1.0, -4.0, 3.0])), [0.0, -8.0, 6.0])


# handlers that pass on what they get, or take a form of their own
FREE = {np.std, np.nanstd, np.zeros_like, np.ones_like, np.empty_like, np.einsum, np.einsum_path}
FREE |= {np.reshape, np.array_repr, np.array_str, np.array2string}
NAMED = [f for f in FUNCTION_TABLE if hasattr(f, "__wrapped__") and f not in FREE]


@pytest.mark.parametrize("function", NAMED, ids=lambda f: f"{f.__module__}.{f.__name__}")
def test_parameters_have_the_names_and_places_of_numpy(function):
    try:
        wanted = inspect.signature(function).parameters
    except ValueError:
        pytest.skip("written in C, without a signature")
    have = inspect.signature(FUNCTION_TABLE[function]).parameters
    assert [n for n in have if n in wanted] == list(wanted)
