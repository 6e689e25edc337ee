"""ADBench's objectives, as anyone would write them in NumPy: values and derivatives as published.

Where ADBench's numbers are used, plain NumPy gives its value too (`test_plain_numpy_*`), so that a
derivative that differs is symdiff's.
"""

import resource
from pathlib import Path

import adbench_models as models
import numpy as np
import pytest

import symdiff as sd

GMMS = ["gmm/test", "gmm/1k/gmm_d2_K5", "gmm/1k/gmm_d10_K5", "gmm/1k/gmm_d10_K50"]
FACTORS = [models.lower_factors, models.lower_factors_in_place, models.lower_factors_at_once]
factors = pytest.mark.parametrize("factors", FACTORS, ids=[f.__name__ for f in FACTORS])


def close(got, want, rtol=1e-10):
    """Equal shapes; the largest difference is small beside the largest entry."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * np.max(np.abs(want)))


def flat(parts):
    return np.concatenate([np.ravel(p) for p in parts])


def differences(f, args, n, step=1e-6):
    """Central differences of a function by its first `n` arguments, flat."""
    columns = []
    for k in range(n):
        for i in np.ndindex(np.shape(args[k])):
            moved = []
            for sign in (1, -1):
                at = [np.array(a) if j < n else a for j, a in enumerate(args)]
                at[k][i] += sign * step
                moved.append(f(*at))
            columns.append((moved[0] - moved[1]) / (2 * step))
    return np.stack(columns, axis=-1)


# Gaussian mixture


@factors
@pytest.mark.parametrize("name", GMMS)
def test_plain_numpy_gives_the_mixtures_published_value(name, factors):
    close(models.gmm(*models.read_gmm(name), factors=factors), models.expected(name)[0], 1e-13)


def mixture(data, **options):
    """Give the objective as a function of what is differentiated; the prior is of plain numbers."""

    def objective(alphas, means, icf):
        return models.gmm(alphas, means, icf, data.x, data.gamma, data.m, **options)

    return objective


@factors
@pytest.mark.parametrize("name", GMMS)
def test_mixtures_value_and_gradient(name, factors):
    if "d10" in name and factors is not models.lower_factors:
        pytest.skip("the ways to build a matrix are compared on the small ones")
    data = models.read_gmm(name)
    f = mixture(data, factors=factors)
    value, gradient = sd.value_and_grad(f, argnums=(0, 1, 2))(*data[:3])
    want, want_gradient = models.expected(name)
    close(value, want)
    close(flat(gradient), want_gradient)


def test_mixtures_points_may_be_an_argument():
    name = "gmm/1k/gmm_d2_K5"
    data = models.read_gmm(name)

    def objective(params, x):
        return models.gmm(*params, x, data.gamma, data.m)

    f = sd.value_and_grad(objective)
    value, gradient = f(data[:3], data.x)
    assert [g.shape for g in gradient] == [p.shape for p in data[:3]]
    want, want_gradient = models.expected(name)
    close(value, want)
    close(flat(gradient), want_gradient)
    few = data.x[:7]
    value, gradient = f(data[:3], few)
    close(value, objective(data[:3], few), 1e-13)
    close(flat(gradient), differences(mixture(data._replace(x=few)), data[:3], 3), 1e-8)


@factors
def test_mixtures_hessian(factors):
    data = models.read_gmm("gmm/test")
    f = mixture(data, factors=factors)

    def gradient(*args):
        return flat(sd.grad(f, argnums=(0, 1, 2))(*args))

    want = differences(gradient, data[:3], 3, 1e-5)
    sizes = [p.size for p in data[:3]]
    hessian = sd.hessian(f, argnums=(0, 1, 2))(*data[:3])
    got = np.block(
        [
            [h.reshape(n, m) for h, m in zip(row, sizes, strict=True)]
            for row, n in zip(hessian, sizes, strict=True)
        ]
    )
    close(got, want, 1e-8)
    close(got, got.T, 1e-13)


@factors
def test_mixtures_derivatives_check(factors):
    data = models.read_gmm("gmm/test")
    sd.check_derivatives(mixture(data, factors=factors), *data[:3])


def test_the_prior_is_right_with_degrees_of_freedom():
    data = models.read_gmm("gmm/test")._replace(gamma=1.7, m=2)
    value, gradient = sd.value_and_grad(mixture(data), argnums=(0, 1, 2))(*data[:3])
    close(value, models.gmm(*data), 1e-13)
    close(flat(gradient), differences(mixture(data), data[:3], 3), 1e-8)


# Bundle adjustment


def test_plain_numpy_gives_bundle_adjustments_published_value():
    for name in ("ba/test", "ba/ba1_n49_m7776_p31843"):
        data, want = models.read_ba(name), models.expected(name)[0]
        close(flat([models.ba_reprojection(*data), models.weight_error(data.w)]), want, 1e-12)
    data = models.read_ba("ba/test")
    close(flat(models.ba_by_observation(*data)), models.expected("ba/test")[0], 1e-12)


def test_one_observation():
    data = models.read_ba("ba/test")
    args = data.cams[0], data.points[0], data.w[0], data.feats[0]
    blocks = sd.jacobian(models.reprojection_error, argnums=(0, 1, 2))(*args)
    got = np.concatenate([b.reshape(2, -1) for b in blocks], axis=1)
    close(got, models.expected("ba/test")[1][:30].reshape(2, 15))
    assert sd.grad(models.weight_error)(data.w[0]) == pytest.approx(-2 * data.w[0], rel=1e-15)


def test_one_observation_without_rotation():
    """Another path is taken than the one that was traced first, and then the first again."""
    data = models.read_ba("ba/test")
    args = data.cams[0], data.points[0], data.w[0], data.feats[0]
    still = np.array(data.cams[0])
    still[:3] = 0
    jacobian = sd.jacobian(models.reprojection_error, argnums=(0, 1))
    first = jacobian(*args)
    got = jacobian(still, *args[1:])
    want = differences(models.reprojection_error, (still, *args[1:]), 2)
    close(np.concatenate(got, axis=1), want, 1e-6)
    for a, b in zip(jacobian(*args), first, strict=True):
        np.testing.assert_array_equal(a, b)


def known(f, data):
    """Fix the observations and features of a function of cameras, points and weights."""

    def of_parameters(cams, points, w):
        return f(cams, points, w, data.obs, data.feats)

    return of_parameters


def first(f):
    return lambda *args: f(*args)[0]


OBSERVATIONS = [models.ba_reprojection, first(models.ba_by_observation)]
ways = pytest.mark.parametrize(
    "f",
    [
        pytest.param(OBSERVATIONS[0], id="at once"),
        pytest.param(OBSERVATIONS[1], id="one by one"),
    ],
)


@ways
def test_observations(f):
    data = models.read_ba("ba/test")
    want, J = models.expected("ba/test")
    f = known(f, data)
    close(sd.jit(f)(*data[:3]), want[:20])
    check_blocks(data, sd.jacobian(f, (0, 1, 2))(*data[:3]), J)


@ways
def test_observations_may_be_arguments(f):
    """Then a camera and a point are taken where a traced integer says."""
    data = models.read_ba("ba/test")
    want, J = models.expected("ba/test")
    close(sd.jit(f)(*data), want[:20])
    check_blocks(data, sd.jacobian(f, (0, 1, 2))(*data), J)


def test_sparse_jacobian():
    data = models.read_ba("ba/test")
    J = models.expected("ba/test")[1]
    f = known(models.ba_reprojection, data)
    blocks = [sd.jacobian(f, k, sparse=True)(*data[:3]) for k in range(3)]
    # An image's first coordinate does not depend on the principal point's second.
    assert [b.nnz for b in blocks] == [20 * 10, 20 * 3, 20]
    check_blocks(data, [b.toarray() for b in blocks], J)
    weights = sd.jacobian(models.weight_error, sparse=True)(data.w)
    assert weights.nnz == len(data.w)
    close(weights.diagonal(), J[300:])


@pytest.fixture
def little_memory():
    """Let dense Jacobians of many observations fail, rather than the machine."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(
        resource.RLIMIT_AS, (pages * resource.getpagesize() + 3_000_000_000, limits[1])
    )
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.slow
@pytest.mark.usefixtures("little_memory")
@pytest.mark.xfail(
    strict=True, raises=MemoryError, reason="sparse Jacobians are computed dense and then thinned"
)
def test_sparse_jacobian_of_many_observations():
    """A dense one by the points would have 1.5e9 entries."""
    name = "ba/ba1_n49_m7776_p31843"
    data = models.read_ba(name)
    want, J = models.expected(name)
    p = len(data.obs)
    f = known(models.ba_reprojection, data)
    close(sd.jit(f)(*data[:3]), want[: 2 * p])
    blocks = [sd.jacobian(f, k, sparse=True)(*data[:3]) for k in range(3)]
    row = np.arange(2 * p)[:, None]
    columns = models.ba_columns(data.obs)
    got = np.concatenate(
        [np.asarray(b[row, c]) for b, c in zip(blocks, columns, strict=True)], axis=1
    )
    close(got.ravel(), J[: 30 * p])
    assert [b.nnz for b in blocks] == [20 * p, 6 * p, 2 * p]


def check_blocks(data, blocks, J):
    """ADBench's entries where it has them, zeros elsewhere."""
    p = len(data.obs)
    row = np.arange(2 * p)[:, None]
    found = []
    for block, columns in zip(blocks, models.ba_columns(data.obs), strict=True):
        matrix = np.array(block).reshape(2 * p, -1)
        found.append(matrix[row, columns])
        matrix[row, columns] = 0
        assert not np.any(matrix)
    close(np.concatenate(found, axis=1).ravel(), J[: 30 * p])


# Long short-term memory


def test_plain_numpy_gives_the_networks_published_value():
    name = "lstm/lstm_l2_c1024"
    close(models.lstm(*models.read_lstm(name)), models.expected(name)[0], 1e-11)


def test_networks_gradient_on_a_short_text():
    data = models.read_lstm("lstm/lstm_l2_c1024")
    data = data._replace(text=data.text[:5])
    value, gradient = sd.value_and_grad(models.lstm, argnums=(0, 1))(*data)
    close(value, models.lstm(*data), 1e-13)
    close(flat(gradient), differences(models.lstm, data, 2), 1e-8)
