"""Levenberg-Marquardt for dense nonlinear least squares, as plain functions over arrays.

A backend compiles every function of `FUNCTIONS`; the two hooks are then calls of the user's kernel.
Nothing is allocated: all arrays are slices of one, which `Layout` divides.

The method, in the order in which it runs:

* Each Jacobian is factored by Householder reflections, its columns scaled to norm one. The normal
  equations are never formed: their condition is the square, and certified digits would be lost.
* A step solves the damped triangular system by Givens rotations, and is corrected by the geodesic
  acceleration of Transtrum and Sethna (2012), with the second derivative along the step from one
  more residual, while the correction is small against the step.
* The damping follows the ratio of actual to predicted decrease (Nielsen 1999).
* It has converged when the residuals are orthogonal to the tangent plane up to `gtol` (the relative
  offset of Bates and Watts 1981) or to the rounding of the residuals themselves. Both are
  invariant under the units of data and parameters, and neither is met by small steps alone.
* A local method can end at a degenerate point: parameters run off to where the model has lost one
  of them, so that the Jacobian is singular. Then the search begins again from the start with more
  damping, and the best result stays.

References
----------
Moré, J. J., *The Levenberg-Marquardt algorithm*, Lecture Notes in Mathematics 630, 1978.
Nielsen, H. B., *Damping parameter in Marquardt's method*, IMM-REP-1999-05, 1999.
Transtrum, M. K. and Sethna, J. P., arXiv:1201.5885, 2012.
Bates, D. M. and Watts, D. G., Technometrics 23 (1981) 179.
"""

# Arguments are arrays of float64 and numbers: the backend infers the types, as numba does.
# pyright: reportMissingParameterType=false

import math

__all__ = ["FUNCTIONS", "HOOKS", "HOOK_DATA", "minimize", "workspace_size"]

EPS = 2.220446049250313e-16
MAX_DAMPING = 1e20
ACCELERATION_LIMIT = 0.75
PROBE = 0.1
UNMEASURABLE, MAX_UNMEASURED = 1e-12, 8
"""Relative changes of the cost below this are rounding errors; so many such steps are made."""
ROUGH = 1e-5
"""A search that can go no further has converged if the relative offset is below this."""
NO_STEP = 1e-8
"""A step that changes no parameter by more than this part of it leads nowhere."""
NEARLY_LINEAR = 0.1
"""After a step whose decrease was as promised to this part, no acceleration is computed."""

CONVERGED, SINGULAR, MAX_STEPS, STALLED, NOT_FINITE = 1, 2, 3, 4, 5


HOOK_DATA = 5
ENOUGH, LEAST_FACTOR, LINEAR_FACTOR = 1e-4, 1.0 / 3.0, 0.1
"""A step is taken when the cost falls by this part of what was promised; the damping falls by no
more than this factor."""
N_STRATEGIES, FIRST_DAMPING, MORE_DAMPING = 4, 1e-3, 1e3
"""Searches begin with damping 1e-3, 1, 1e3, 1e6, relative to columns of norm one; every second one
lets the scale of a parameter shrink with its column."""
DEPENDENT = 1e-14
"""A column is taken to depend on others when less than this part of it is left."""
MAX_CONDITION = 1e12
"""A Jacobian of unit columns whose condition exceeds this has lost a parameter: its own rounding
errors leave no more than a few digits of the covariance."""

HOOKS = {
    "evaluate": ("params", "residuals"),
    "evaluate_with_jacobian": ("params", "residuals", "jacobian"),
}


def evaluate(problem, params, residuals):
    """Hook: compute the residuals at some parameters."""
    raise NotImplementedError("bound by the backend")


def evaluate_with_jacobian(problem, params, residuals, jacobian):
    """Hook: compute residuals and Jacobian, one row for each parameter."""
    raise NotImplementedError("bound by the backend")


def sum_of_squares(x):
    """Add up squares; infinite or NaN when an element is."""
    total = 0.0
    for i in range(x.size):
        total += x[i] * x[i]
    return total


def invert(x):
    """``1/x``, but 0 for the scale of a parameter that no residual has depended on so far."""
    return 1.0 / x if x > 0.0 else 0.0


def dot(x, y):
    """Multiply and add up."""
    total = 0.0
    for i in range(x.size):
        total += x[i] * y[i]
    return total


def copy(x, y):
    """Write one vector into another."""
    for i in range(x.size):
        y[i] = x[i]


def clear(x):
    """Fill a vector with zeros."""
    for i in range(x.size):
        x[i] = 0.0


def add_multiple(y, factor_, x):
    """Add a multiple of one vector to another."""
    for i in range(x.size):
        y[i] += factor_ * x[i]


def apply_loss(loss, f_scale, residuals):
    """Give twice the cost of residuals under a loss of `scipy.optimize.least_squares`."""
    if loss == 0:
        return sum_of_squares(residuals)
    total = 0.0
    for i in range(residuals.size):
        z = (residuals[i] / f_scale) ** 2
        if loss == 1:
            total += 2.0 * (math.sqrt(1.0 + z) - 1.0)
        elif loss == 2:
            total += z if z <= 1.0 else 2.0 * math.sqrt(z) - 1.0
        elif loss == 3:
            total += math.log1p(z)
        else:
            total += math.atan(z)
    return total * f_scale * f_scale


def scale_by_loss(loss, f_scale, residuals, jacobian):
    """Scale residuals and Jacobian so that Gauss-Newton on them is that on the loss.

    Triggs et al., *Bundle adjustment*, 2000, section 4.3, as SciPy does.
    """
    for i in range(residuals.size):
        z = (residuals[i] / f_scale) ** 2
        if loss == 1:
            t = 1.0 + z
            first, second = t**-0.5, -0.5 * t**-1.5
        elif loss == 2:
            first = 1.0 if z <= 1.0 else z**-0.5
            second = 0.0 if z <= 1.0 else -0.5 * z**-1.5
        elif loss == 3:
            t = 1.0 + z
            first, second = 1.0 / t, -1.0 / (t * t)
        else:
            t = 1.0 + z * z
            first, second = 1.0 / t, -2.0 * z / (t * t)
        curvature = max(first + 2.0 * second * z, EPS)
        root = math.sqrt(curvature)
        residuals[i] *= first / root
        for j in range(jacobian.shape[0]):
            jacobian[j, i] *= root


def factor(jacobian, free, scale, residuals, qr, r, qtf, rotated, norms):
    """Factor the scaled Jacobian of the free parameters; returns how many they are.

    ``r[a, b]`` is the upper triangle, ``qtf`` the projection of the residuals, ``rotated`` all of
    ``Q' residuals``. Reflections stay in the rows of `qr`, their factors in `norms`.
    """
    n = residuals.size
    m = 0
    for j in range(free.size):
        if free[j] > 0.0:
            column, source, inverse = qr[m], jacobian[j], invert(scale[j])
            for i in range(n):
                column[i] = source[i] * inverse
            m += 1
    for i in range(n):
        rotated[i] = residuals[i]
    for a in range(m):
        norms[a] = reflect(qr, a, m, rotated, n, r)
    for a in range(m):
        qtf[a] = rotated[a] if norms[a] != 0.0 else 0.0
    return m


def reflect(qr, a, m, rotated, n, r):
    """Do one Householder reflection; returns the diagonal element that it makes."""
    if a >= n:
        r[a, a] = 0.0
        return 0.0
    column = qr[a, a:]
    size = math.sqrt(sum_of_squares(column))
    for b in range(a):
        r[b, a] = qr[a, b]
    if not size > DEPENDENT * math.hypot(size, math.sqrt(sum_of_squares(qr[a, :a]))):
        # What is left of a column that depends on those before it has no direction.
        for b in range(a, m):
            r[a, b] = 0.0
        return 0.0
    if column[0] > 0.0:
        size = -size
    column[0] -= size
    factor_ = -1.0 / (size * column[0])
    for b in range(a + 1, m):
        other = qr[b, a:]
        add_multiple(other, -factor_ * dot(column, other), column)
    add_multiple(rotated[a:], -factor_ * dot(column, rotated[a:]), column)
    r[a, a] = size
    return factor_


def project(qr, norms, m, x, n):
    """Apply the stored reflections to a vector."""
    for a in range(min(m, n)):
        if norms[a] != 0.0:
            column = qr[a, a:]
            add_multiple(x[a:], -norms[a] * dot(column, x[a:]), column)


def damp(r, qtf, m, damping, s, z, row):
    """Solve ``[R; sqrt(damping) I] z = -[qtf; 0]`` by Givens rotations; `s` keeps the triangle."""
    for a in range(m):
        for b in range(a, m):
            s[a, b] = r[a, b]
        z[a] = qtf[a]
    root = math.sqrt(damping)
    for a in range(m):
        for b in range(a, m):
            row[b] = 0.0
        row[a] = root
        extra = 0.0
        for k in range(a, m):
            if row[k] != 0.0:
                length = math.hypot(s[k, k], row[k])
                cosine, sine = s[k, k] / length, row[k] / length
                for b in range(k, m):
                    upper, lower = s[k, b], row[b]
                    s[k, b] = cosine * upper + sine * lower
                    row[b] = cosine * lower - sine * upper
                upper = z[k]
                z[k] = cosine * upper + sine * extra
                extra = cosine * extra - sine * upper
    for a in range(m - 1, -1, -1):
        total = -z[a]
        for b in range(a + 1, m):
            total -= s[a, b] * z[b]
        z[a] = total / s[a, a] if s[a, a] != 0.0 else 0.0


def correct(r, s, m, rhs, z, row):
    """Solve ``S'S z = -R' rhs / 2`` for the acceleration."""
    for a in range(m):
        total = 0.0
        for b in range(a + 1):
            total += r[b, a] * rhs[b]
        for b in range(a):
            total -= s[b, a] * row[b]
        row[a] = total / s[a, a] if s[a, a] != 0.0 else 0.0
    for a in range(m - 1, -1, -1):
        total = row[a]
        for b in range(a + 1, m):
            total -= s[a, b] * z[b]
        z[a] = total / s[a, a] if s[a, a] != 0.0 else 0.0
    for a in range(m):
        z[a] *= -0.5


def predicted_decrease(r, m, z, damping):
    """The decrease of the sum of squares that the linear model promises for a damped step."""
    total = 0.0
    for a in range(m):
        image = 0.0
        for b in range(a, m):
            image += r[a, b] * z[b]
        total += image * image + 2.0 * damping * z[a] * z[a]
    return total


def linear_decrease(jacobian, residuals, params, trial, scratch):
    """The same for any step, such as one that was cut at a bound."""
    clear(scratch)
    for j in range(params.size):
        if trial[j] != params[j]:
            add_multiple(scratch, trial[j] - params[j], jacobian[j])
    total = 0.0
    for i in range(residuals.size):
        total -= scratch[i] * (2.0 * residuals[i] + scratch[i])
    return total


def choose_free(params, lower, upper, fixed, jacobian, residuals, free):
    """Free the parameters that are neither fixed nor held at a bound by the gradient."""
    for j in range(params.size):
        free[j] = 1.0 - fixed[j]
        if fixed[j] > 0.0 or lower[j] < params[j] < upper[j]:
            continue
        slope = dot(jacobian[j], residuals)
        if (params[j] <= lower[j] and slope > 0.0) or (params[j] >= upper[j] and slope < 0.0):
            free[j] = 0.0


def column_norms(jacobian, fixed, norms):
    """Compute the norms of the columns; False when one is infinite or NaN."""
    for j in range(fixed.size):
        norms[j] = 0.0 if fixed[j] > 0.0 else math.sqrt(sum_of_squares(jacobian[j]))
        if not norms[j] < math.inf:
            return False
    return True


def rounding_noise(params, norms, size):
    """Bound the rounding error of the residuals, from the size of what they are made of."""
    total = size
    for j in range(params.size):
        total += abs(params[j]) * norms[j]
    return EPS * total


def linearize(problem, a, loss, f_scale, keep, counts):
    """Evaluate and factor the Jacobian at ``a.params``.

    Returns the number of free parameters (-1 when something is not finite), the cost, the norm of
    the part of the residuals that lies in the tangent plane, and the rounding error of that.
    """
    (params, lower, upper, fixed, _, scale, free, _, _, qtf, norms, _) = a[0]
    (r, _, _), (residuals, _, rotated), (jacobian, qr) = a[1], a[2], a[3]
    evaluate_with_jacobian(problem, params, residuals, jacobian)
    counts[1] += 1
    cost = apply_loss(loss, f_scale, residuals)
    if not cost < math.inf:
        return -1, cost, 0.0, 0.0
    if loss != 0:
        scale_by_loss(loss, f_scale, residuals, jacobian)
    if not column_norms(jacobian, fixed, norms):
        return -1, cost, 0.0, 0.0
    noise = rounding_noise(params, norms, math.sqrt(cost))
    for j in range(params.size):
        scale[j] = max(norms[j], keep * scale[j])
    choose_free(params, lower, upper, fixed, jacobian, residuals, free)
    m = factor(jacobian, free, scale, residuals, qr, r, qtf, rotated, norms)
    return m, cost, math.sqrt(sum_of_squares(qtf[:m])), noise


def probe_curvature(problem, a, counts):
    """Second derivative of the residuals along a step, from the residuals a part of it ahead.

    Transtrum and Sethna, equation 14. False where the model is not finite there, or where that is
    out of bounds.
    """
    (params, lower, upper, _, trial, _, _, step, _, _, _, _) = a[0]
    (residuals, trial_residuals, out), (jacobian, _) = a[2], a[3]
    for j in range(params.size):
        trial[j] = params[j] + PROBE * step[j]
        if not lower[j] <= trial[j] <= upper[j]:
            return False
    evaluate(problem, trial, trial_residuals)
    counts[2] += 1
    if not sum_of_squares(trial_residuals) < math.inf:
        return False
    for i in range(residuals.size):
        out[i] = (trial_residuals[i] - residuals[i]) / PROBE
    for j in range(params.size):
        if step[j] != 0.0:
            add_multiple(out, -step[j], jacobian[j])
    for i in range(residuals.size):
        out[i] *= 2.0 / PROBE
    return True


def spread(free, scale, z, out):
    """Add a step of the free parameters, unscaled, to one of all parameters."""
    a = 0
    for j in range(free.size):
        if free[j] > 0.0:
            out[j] += z[a] * invert(scale[j])
            a += 1


def take(params, step, lower, upper, trial):
    """Go a step, no further than the bounds; returns whether it was cut."""
    is_cut = False
    for j in range(params.size):
        value = params[j] + step[j]
        if value < lower[j] or value > upper[j]:
            value = min(max(value, lower[j]), upper[j])
            is_cut = True
        trial[j] = value
    return is_cut


def propose(problem, a, m, damping, is_curved, counts):
    """Compute the next trial point; returns the decrease that the linear model promises."""
    (params, lower, upper, _, trial, scale, free, step, z, qtf, norms, row) = a[0]
    (r, s, _), (residuals, _, rotated), (jacobian, qr) = a[1], a[2], a[3]
    damp(r, qtf, m, damping, s, z, row)
    promised = predicted_decrease(r, m, z, damping)
    clear(step)
    spread(free, scale, z, step)
    if is_curved and probe_curvature(problem, a, counts):
        length = math.sqrt(sum_of_squares(z[:m]))
        project(qr, norms, m, rotated, residuals.size)
        correct(r, s, m, rotated, z, row)
        if 2.0 * math.sqrt(sum_of_squares(z[:m])) <= ACCELERATION_LIMIT * length:
            spread(free, scale, z, step)
    if take(params, step, lower, upper, trial):
        promised = linear_decrease(jacobian, residuals, params, trial, rotated)
    return promised


def verdict(a, m, slope, size, noise):
    """Name a point from which no step leads on.

    Where the Jacobian is singular the tangent plane is not defined, and residuals can stay in what
    rounding makes of it though the gradient vanishes: their cosine with each column is small.
    Residuals that are nothing but rounding errors keep their direction; then an undamped step,
    which is long wherever there is a way to go, no longer changes the parameters.
    """
    (params, _, _, _, _, scale, free, step, z, qtf, _, row), (r, s, _) = a[0], a[1]
    if slope <= ROUGH * size + noise:
        return CONVERGED
    is_orthogonal = True
    for k in range(m):
        gradient = 0.0
        for b in range(k + 1):
            gradient += r[b, k] * qtf[b]
        column = math.sqrt(sum_of_squares(r[: k + 1, k]))
        is_orthogonal = is_orthogonal and abs(gradient) <= ROUGH * column * size
    if is_orthogonal:
        return SINGULAR
    damp(r, qtf, m, 0.0, s, z, row)
    clear(step)
    spread(free, scale, z, step)
    for j in range(params.size):
        if abs(step[j]) > NO_STEP * abs(params[j]):
            return STALLED
    return CONVERGED


def reduction(ratio):
    """Nielsen's factor for the damping after a step, less where the model is nearly linear."""
    if abs(ratio - 1.0) < NEARLY_LINEAR:
        return LINEAR_FACTOR
    return max(LEAST_FACTOR, 1.0 - (2.0 * min(ratio, 1.0) - 1.0) ** 3)


def search(problem, a, loss, f_scale, damping, keep, max_steps, gtol, counts):
    """Run one local search; returns a status, the cost and the number of free parameters."""
    params, trial, before, trial_residuals = a[0][0], a[0][4], a[0][8], a[2][1]
    m, cost, slope, noise = linearize(problem, a, loss, f_scale, keep, counts)
    if m < 0:
        return NOT_FINITE, cost, m
    growth, ratio, n_unmeasured, n_tried = 2.0, 0.0, 0, 0
    while slope > gtol * math.sqrt(cost) + noise:
        if n_tried >= max_steps:
            return MAX_STEPS, cost, m
        n_tried += 1
        counts[0] += 1
        is_curved = loss == 0 and abs(ratio - 1.0) > NEARLY_LINEAR
        promised = propose(problem, a, m, damping, is_curved, counts)
        evaluate(problem, trial, trial_residuals)
        counts[2] += 1
        decrease = cost - apply_loss(loss, f_scale, trial_residuals)
        # What is infinite or NaN fails both comparisons.
        is_better = promised > 0.0 and decrease > ENOUGH * promised
        # The cost cannot tell such steps apart; the slope, which is measured, decides.
        is_unmeasured = promised <= UNMEASURABLE * cost and abs(decrease) <= UNMEASURABLE * cost
        ratio = decrease / promised if is_better else 1.0
        is_taken = is_better or is_unmeasured
        if is_taken:
            copy(params, before)
            copy(trial, params)
            m, cost, slope, noise = linearize(problem, a, loss, f_scale, keep, counts)
            if m < 0:  # no derivative there, as of a root at its bound: go back
                is_taken = False
                copy(before, params)
                m, cost, slope, noise = linearize(problem, a, loss, f_scale, keep, counts)
        if is_taken:
            damping *= reduction(ratio) if is_better else LEAST_FACTOR
            growth = 2.0
            n_unmeasured += 0 if is_better else 1
        else:
            ratio = 0.0
            damping *= growth
            growth *= 2.0
        if n_unmeasured > MAX_UNMEASURED or damping > MAX_DAMPING or growth > MAX_DAMPING:
            return verdict(a, m, slope, math.sqrt(cost), noise), cost, m
    return CONVERGED, cost, m


def invert_triangle(r, m, s):
    """Write ``inv(R)`` to `s`; returns a bound on the condition of R with columns of norm one.

    Infinite when R is singular. Moduli of the diagonal alone would not do: without pivoting all can
    be large in a triangle that is singular up to rounding.
    """
    total = 0.0
    for b in range(m):
        if r[b, b] == 0.0:
            return math.inf
        for a in range(m):
            s[a, b] = 0.0
        s[b, b] = 1.0 / r[b, b]
        for a in range(b - 1, -1, -1):
            image = 0.0
            for k in range(a + 1, b + 1):
                image += r[a, k] * s[k, b]
            s[a, b] = -image / r[a, a]
    for a in range(m):
        square = 0.0
        for b in range(a + 1):
            square += r[b, a] * r[b, a]
        total += square * sum_of_squares(s[a, a:m])
    return math.sqrt(m * total)


def covariance(s, m, free, scale, out):
    """Write ``inv(J'J)`` of the free parameters, from the inverse of the triangle, others zero."""
    a = -1
    for j in range(free.size):
        a += 1 if free[j] > 0.0 else 0
        b = -1
        for k in range(free.size):
            b += 1 if free[k] > 0.0 else 0
            out[j, k] = 0.0
            if free[j] > 0.0 and free[k] > 0.0:
                product = dot(s[a, max(a, b) : m], s[b, max(a, b) : m])
                out[j, k] = product / (scale[j] * scale[k])


def workspace_size(n_points, n_params):
    """How many numbers the workspace of a problem holds."""
    return 14 * n_params + 3 * n_params * n_params + 3 * n_points + 2 * n_params * n_points + 2


def divide(work, n, p):
    """Slice the workspace."""
    v = work[: 14 * p].reshape(14, p)
    at = 14 * p
    squares = work[at : at + 3 * p * p].reshape(3, p, p)
    at += 3 * p * p
    vectors = work[at : at + 3 * n].reshape(3, n)
    at += 3 * n
    matrices = work[at : at + 2 * p * n].reshape(2, p, n)
    return (
        (v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11]),
        (squares[0], squares[1], squares[2]),
        (vectors[0], vectors[1], vectors[2]),
        (matrices[0], matrices[1]),
    )


def finish(problem, a, loss, m, status):
    """Leave residuals, Jacobian and covariance of the parameters found."""
    params, fixed, scale, free = a[0][0], a[0][3], a[0][5], a[0][6]
    (r, s, out), (residuals, _, rotated), (jacobian, qr) = a[1], a[2], a[3]
    if status == CONVERGED:
        # As in SciPy, parameters at a bound count as free.
        n_fitted = 0
        for j in range(params.size):
            free[j] = 1.0 - fixed[j]
            n_fitted += 1 if free[j] > 0.0 else 0
        if m < n_fitted:
            m = factor(jacobian, free, scale, residuals, qr, r, a[0][9], rotated, a[0][10])
        if invert_triangle(r, m, s) > MAX_CONDITION:
            status = SINGULAR
        else:
            covariance(s, m, free, scale, out)
    if loss != 0 or status != CONVERGED:
        evaluate_with_jacobian(problem, params, residuals, jacobian)
    if status != CONVERGED:
        for j in range(params.size):
            for k in range(params.size):
                out[j, k] = math.inf
    return status


def minimize(problem, work):
    """Minimise a sum of squares.

    Parameters
    ----------
    problem : int64 array
        What the hooks need, in the first `HOOK_DATA` elements; then the numbers of residuals and of
        parameters, the loss (0 linear, 1 soft_l1, 2 huber, 3 cauchy, 4 arctan), the steps tried in
        one search; then four counts, which it sets: steps, evaluations with and without Jacobian,
        searches.
    work : float64 array
        `workspace_size` numbers. They begin with the start, the lower and the upper bounds and a
        mask of fixed parameters, and end with the scale at which the loss turns and the relative
        offset at which it has converged. Afterwards they hold what `divide` says: the parameters
        found, the residuals and the Jacobian there, and ``inv(J'J)``.

    Returns
    -------
    int
        A status of this module.
    """
    n, p = problem[HOOK_DATA], problem[HOOK_DATA + 1]
    loss, max_steps = problem[HOOK_DATA + 2], problem[HOOK_DATA + 3]
    counts = problem[HOOK_DATA + 4 : HOOK_DATA + 8]
    f_scale, gtol = work[workspace_size(n, p) - 2], work[workspace_size(n, p) - 1]
    a = divide(work, n, p)
    params, scale = a[0][0], a[0][5]
    best, start = work[12 * p : 13 * p], work[13 * p : 14 * p]
    copy(params, start)
    copy(params, best)
    for k in range(4):
        counts[k] = 0
    best_cost, best_status, m = math.inf, NOT_FINITE, 0
    for strategy in range(N_STRATEGIES):
        copy(start, params)
        clear(scale)
        counts[3] += 1
        damping, keep = FIRST_DAMPING * MORE_DAMPING**strategy, 1.0 - strategy % 2
        status, cost, m = search(problem, a, loss, f_scale, damping, keep, max_steps, gtol, counts)
        if status == CONVERGED and invert_triangle(a[1][0], m, a[1][1]) > MAX_CONDITION:
            status = SINGULAR
        if status < best_status or (status == best_status and cost < best_cost):
            best_cost, best_status = cost, status
            copy(params, best)
        if status in (CONVERGED, NOT_FINITE):
            break
    copy(best, params)
    return finish(problem, a, loss, m, best_status)


SUMS = ("sum_of_squares", "dot", "linear_decrease")
"""Functions whose sums may be added in any order, so that they are vectorized."""

FUNCTIONS = (
    workspace_size,
    sum_of_squares,
    invert,
    dot,
    copy,
    clear,
    add_multiple,
    apply_loss,
    scale_by_loss,
    reflect,
    factor,
    project,
    damp,
    correct,
    predicted_decrease,
    linear_decrease,
    choose_free,
    column_norms,
    rounding_noise,
    linearize,
    probe_curvature,
    spread,
    take,
    propose,
    verdict,
    reduction,
    search,
    invert_triangle,
    covariance,
    divide,
    finish,
    minimize,
)
