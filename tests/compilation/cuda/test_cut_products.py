"""Programs are cut at large products, which a library computes between kernels."""

from types import SimpleNamespace

import numpy as np
import pytest
from emulator import same

import symdiff as sd
from symdiff.compilation.cpu.kernel import Kernel
from symdiff.compilation.cuda import backend, blas, composite
from symdiff.compilation.cuda.composite import CutKernel, kernel_of
from symdiff.compilation.cuda.contractions import Product, contraction
from symdiff.compilation.cuda.kernel import CudaKernel
from symdiff.compilation.cuda.parts import cut
from symdiff.program.sizes import evaluate

RNG = np.random.default_rng(5)
A, B, C = (RNG.standard_normal(s) for s in ((6, 4), (4, 3), (2, 6)))
STACK, OTHERS = RNG.standard_normal((5, 6, 4)), RNG.standard_normal((5, 4, 3))
ROWS = np.array([0, 3, 3, 5, 1])


def loss(w1, b1, w2, x, y):
    z = np.tanh(x @ w1 + b1) @ w2
    z = z - np.max(z, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(z), axis=1)) - np.sum(z * y, axis=1))


def around_a_loop(a, b):
    s, w = 0.0, b
    for _ in range(3):
        s = s + np.sum(w) * 0.1
        w = np.sin(w)
    return s * (a @ w), w @ w.T, s


LAYERS = (B, RNG.standard_normal(3), RNG.standard_normal((3, 7)), A, RNG.random((6, 7)))
CASES = {
    "plain": (sd.jit(lambda a, b: a @ b), (A, B)),
    "left transposed": (sd.jit(lambda a: a.T @ a), (A,)),
    "right transposed": (sd.jit(lambda a: a @ a.T), (A,)),
    "both transposed": (sd.jit(lambda a, b: a.T @ b.T), (A, C)),
    "result transposed": (sd.jit(lambda a, b: (a @ b).T + 1), (A, B)),
    "a chain": (sd.jit(lambda a, b: np.tanh(a @ b) @ b.T), (A, B)),
    "outputs twice, and inputs": (sd.jit(lambda a, b: (a @ b, a, a @ b, 2.0, b)), (A, B)),
    "numbers handed on": (
        sd.jit(lambda a, b: (np.sum(a @ b) * ((a @ b) @ b.T) + np.mean(a), np.sum(a @ b))),
        (A, B),
    ),
    "a number given": (sd.jit(lambda a, b, s: s * (a @ b) + a[:, :3]), (A, B, 2.0)),
    "two terms": (sd.jit(lambda a: a.T @ a - a.T @ (a * 3)), (A,)),
    "slices": (sd.jit(lambda a, b: a[1:, 1:] @ b[:3]), (A, B)),
    "a constant": (sd.jit(lambda a: a @ B), (A,)),
    "batch": (sd.value_and_grad(lambda a, b: np.sum(np.sin(a @ b)), (0, 1)), (STACK, OTHERS)),
    "axes in another order": (
        sd.jit(lambda a, b: np.einsum("bij,bjk->ikb", a, b)),
        (STACK, OTHERS),
    ),
    "rows of two axes": (sd.value_and_grad(lambda a, b: np.sum(np.sin(a @ b)), (0, 1)), (STACK, B)),
    "gathered": (sd.grad(lambda b, a, k: np.sum(np.sin(a[k] @ b))), (B, A, ROWS)),
    "layers": (sd.value_and_grad(loss, (0, 1, 2)), LAYERS),
    "a loop": (sd.jit(around_a_loop), (A, B)),
    "numbers of places": (sd.jit(lambda a, b: (a * np.arange(4)) @ b * 3 - 1), (A, B)),
    "float32": (sd.jit(lambda a, b: np.tanh(a @ b) @ b.T), (A.astype("f4"), B.astype("f4"))),
}
NUMBERS = {"rows of two axes": 3, "layers": 5, "outputs twice, and inputs": 2, "batch": 3}
"""How many products some of the cases have."""


def products_of(program):
    return [n for n, e in enumerate(program.equations) if contraction(program, e) is not None]


def interpreted(program, parts, types, inputs):
    """Run the parts on the CPU."""
    sizes = {
        s: inputs[program.inputs.index(a)].shape[k] for s, (a, k) in program.size_sources.items()
    }
    known = {**program.constants, **dict(zip(program.inputs, inputs, strict=True))}
    found = {name: [] for name in program.outputs}
    for part in parts:
        if isinstance(part, Product):
            views = []
            for matrix in part:
                batch, rows, columns = [evaluate(e, sizes) for e in matrix.sizes]
                x = known.get(matrix.array)
                if x is None:
                    views.append(np.empty((batch, rows, columns)))
                elif matrix.is_transposed:
                    views.append(np.reshape(x, (batch, columns, rows)).swapaxes(1, 2))
                else:
                    views.append(np.reshape(x, (batch, rows, columns)))
            shape, dtype = types[part.out.array]
            out = np.matmul(views[1], views[2])
            assert out.shape == views[0].shape
            made = {part.out.array: out.reshape([evaluate(e, sizes) for e in shape]).astype(dtype)}
            items = made.items()
        else:
            given = [known[name] for name in part.given]
            for k, name in enumerate(part.program.inputs):
                shape = tuple(evaluate(e, sizes) for e in part.program.types[name].shape)
                given[k] = np.reshape(given[k], shape)
            assert {*part.program.inputs} <= {*part.program.types}
            items = list(zip(part.program.outputs, Kernel(part.program)(given), strict=True))
        for name, x in items:
            if name in found:
                found[name].append(x)
            known.setdefault(name, x)
    assert all(len(found[name]) == program.outputs.count(name) for name in found)
    return [found[name].pop(0) for name in program.outputs]


def check_cut(f, args, chosen=None):
    program = f.program(*args)
    numbers = products_of(program)
    types, parts = cut(program, numbers if chosen is None else chosen(numbers))
    inputs = [
        np.asarray(x, program.types[n].dtype) for n, x in zip(program.inputs, args, strict=True)
    ]
    got = interpreted(program, parts, types, inputs)
    same(got, Kernel(program)(inputs))
    return numbers, parts


@pytest.mark.parametrize("name", CASES)
def test_parts_give_the_values_of_the_program(name):
    numbers, parts = check_cut(*CASES[name])
    assert len(numbers) == sum(isinstance(p, Product) for p in parts)
    assert len(numbers) >= 1
    if name in NUMBERS:
        assert len(numbers) == NUMBERS[name]


@pytest.mark.parametrize("keep", [slice(None, 0), slice(0, 1), slice(1, None, 2), slice(-1, None)])
@pytest.mark.parametrize("name", ["layers", "numbers handed on", "batch", "two terms"])
def test_some_of_the_products(name, keep):
    check_cut(*CASES[name], chosen=lambda numbers: numbers[keep])


def test_nothing_is_handed_on_that_nobody_needs():
    f, args = CASES["layers"]
    program = f.program(*args)
    types, parts = cut(program, products_of(program))
    handed = [{*p.program.outputs} for p in parts if not isinstance(p, Product)]
    later = set(program.outputs)
    for part in reversed(parts):
        if isinstance(part, Product):
            later |= {part.left.array, part.right.array}
        else:
            assert {*part.program.outputs} <= later
            later |= {*part.given}
    assert all(handed)
    dense = [p for p in parts if isinstance(p, Product)]
    assert {p.left.array for p in dense} & {"x"}  # as it was given, not a copy
    assert {m.is_transposed for p in dense for m in p} == {False, True}
    assert not [name for name in types if "factor" in name]


STEPS = [
    "m{k} = np.tanh(m{i} @ m{j})",
    "m{k} = m{i} @ m{j}.T + m{j}",
    "m{k} = (m{i}.T @ (s * m{j})).T",
    "m{k} = m{i} * m{j} - s",
    "s = np.sum(m{i} @ m{j}) * 0.1",
    "s = np.mean(m{i}) + 0.5 * s",
    "m{k} = m{i}[[2, 0, 1]] @ m{j}",
    "m{k} = np.where(s > 0, m{i} @ m{j}, m{i})",
]


@pytest.mark.parametrize("seed", range(12))
def test_random_programs(seed, tmp_path):
    rng = np.random.default_rng(seed)
    lines = []
    for k in range(2, 9):
        i, j = rng.integers(k, size=2)
        lines.append(f"    m{k} = m{i}")
        lines.append("    " + STEPS[rng.integers(len(STEPS))].format(k=k, i=i, j=j))
    wanted = ["s", *[f"m{k}" for k in rng.integers(9, size=4)]]
    text = ["import numpy as np", "def f(m0, m1, s):", *lines, f"    return {', '.join(wanted)}"]
    path = tmp_path / "generated.py"
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    namespace = {}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), namespace)  # noqa: S102
    f, args = namespace["f"], (*rng.standard_normal((2, 3, 3)), 0.7)
    check_cut(sd.jit(f), args)
    check_cut(sd.jit(f), args, chosen=lambda n: [x for x in n if rng.random() < 0.5])
    check_cut(sd.grad(lambda *args: sum(np.sum(x) for x in f(*args)), (0, 1, 2)), args)


simulated = pytest.mark.skipif(not backend.is_simulated(), reason="the simulator is off")


@simulated
@pytest.mark.parametrize("name", CASES)
def test_simulator(name, monkeypatch):
    monkeypatch.setattr(composite, "LARGE", 1)
    monkeypatch.setattr(composite, "NARROW", 1)
    f, args = CASES[name]
    asked = []
    monkeypatch.setattr(
        blas, "library", lambda: lambda *m: (asked.append(m), blas._multiply_on_host(*m))
    )
    same(f.with_target("cuda")(*args), f(*args))
    assert len(asked) == len(products_of(f.program(*args)))


@simulated
def test_only_large_products_are_cut(monkeypatch):
    asked = []
    monkeypatch.setattr(blas, "multiply", lambda *m: asked.append(m))
    f = sd.jit(lambda a, b: np.tanh(a @ b))
    kernel = kernel_of(f.program(A, B))
    assert isinstance(kernel, CutKernel)
    same(kernel([A, B]), [f(A, B)])
    monkeypatch.setattr(composite, "LARGE", 6 * 4 * 3 + 1)
    monkeypatch.setattr(composite, "NARROW", 3)
    same(kernel([A, B]), [f(A, B)])
    assert not asked
    kernel([np.vstack([A, A]), B])
    assert len(asked) == 1
    monkeypatch.setattr(composite, "NARROW", 4)
    same(kernel([np.vstack([A, A]), B]), [f(np.vstack([A, A]), B)])


@simulated
def test_one_kernel_where_there_is_no_library_or_no_product(monkeypatch):
    program = sd.jit(lambda a, b: a @ b).program(A, B)
    assert type(kernel_of(program)) is CutKernel
    assert type(kernel_of(sd.jit(np.sin).program(A))) is CudaKernel
    monkeypatch.setattr(blas, "library", lambda: None)
    assert type(kernel_of(program)) is CudaKernel


@simulated
def test_results_stay_on_the_device(monkeypatch):
    monkeypatch.setattr(composite, "LARGE", 1)
    monkeypatch.setattr(composite, "NARROW", 1)
    f = sd.jit(lambda a, b, s: (a @ b, np.sum(a @ b) * s), target="cuda")
    number = backend.cuda().to_device(np.array(3.0))
    product, total = f(backend.cuda().to_device(A), B, number)
    np.testing.assert_allclose(product.copy_to_host(), A @ B)
    np.testing.assert_allclose(total.copy_to_host(), 3 * np.sum(A @ B))
    assert isinstance(f(A, B, 3.0)[0], np.ndarray)
    out = np.empty((6, 3)), np.empty(())
    f(A, B, 3.0, out=out)
    np.testing.assert_allclose(out[0], A @ B)


def test_cupy_without_cublas_is_no_library(monkeypatch):
    def imported(name):
        if name.endswith("cublas"):
            raise ImportError("no libcublas.so")
        return SimpleNamespace()

    monkeypatch.setattr(blas, "is_simulated", lambda: False)
    monkeypatch.setattr(blas, "import_module", imported)
    assert blas.library.__wrapped__() is None
    monkeypatch.setattr(blas, "import_module", lambda name: SimpleNamespace(name=name))
    assert blas.library.__wrapped__().__self__.cupy.name == "cupy"


@simulated
def test_one_kernel_where_there_is_no_room_for_parts(monkeypatch):
    def empty(*_):
        raise MemoryError

    monkeypatch.setattr(composite, "LARGE", 1)
    monkeypatch.setattr(composite, "NARROW", 1)
    monkeypatch.setattr(composite, "empty", empty)
    f, args = CASES["layers"]
    same(f.with_target("cuda")(*args), f(*args))


@simulated
def test_an_error_in_a_part_is_that_of_the_function(monkeypatch):
    monkeypatch.setattr(composite, "LARGE", 1)
    monkeypatch.setattr(composite, "NARROW", 1)
    f = sd.jit(lambda a, b, k: np.tanh(a @ b)[k] @ b.T, target="cuda")
    same(f(A, B, ROWS), np.tanh(A @ B)[ROWS] @ B.T)
    with pytest.raises(IndexError):
        f(A, B, ROWS + 3)


class FakeStream:
    """Something like a stream of CuPy's."""

    def __init__(self):
        self.depth = 0

    def __enter__(self):
        self.depth += 1

    def __exit__(self, *_):
        self.depth -= 1


class DeviceArray:
    """An array of the device, as other libraries see it."""

    def __init__(self, data):
        self.data = data
        self.__cuda_array_interface__ = {
            "shape": data.shape,
            "typestr": data.dtype.str,
            "data": (id(self), False),
        }


def test_cupy_is_called_with_views_on_the_stream_of_the_kernels():
    stream, asked = FakeStream(), []

    def matmul(a, b, out):
        assert stream.depth == 1
        asked.extend([a, b, out])
        np.matmul(a, b, out=out)

    cupy = SimpleNamespace(
        matmul=matmul,
        ndarray=lambda shape, dtype, memory: memory.data.reshape(shape).view(dtype),
        cuda=SimpleNamespace(
            Stream=SimpleNamespace(null=stream),
            UnownedMemory=lambda ptr, n_bytes, owner: (ptr, n_bytes, owner),
            MemoryPointer=lambda memory, offset: memory[2],
        ),
    )
    out = np.zeros((6, 2))
    a, b = A.copy(), np.ascontiguousarray(RNG.standard_normal((2, 4)))
    blas._Cupy(cupy).multiply(
        (DeviceArray(out), (1, 6, 2), False),
        (DeviceArray(a), (1, 6, 4), False),
        (DeviceArray(b), (1, 4, 2), True),
    )
    np.testing.assert_allclose(out, a @ b.T)
    assert [x.shape for x in asked] == [(6, 4), (4, 2), (6, 2)]
    assert np.shares_memory(asked[1], b)
    assert stream.depth == 0
