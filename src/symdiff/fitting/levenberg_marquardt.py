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
NEARLY_LINEAR = 0.1
"""After a step whose decrease was as promised to this part, no acceleration is computed."""

CONVERGED, SINGULAR, MAX_STEPS, STALLED, NOT_FINITE = 1, 2, 3, 4, 5


HOOK_DATA = 5
N_STRATEGIES, FIRST_DAMPING, MORE_DAMPING = 4, 1e-3, 1e3
"""Searches begin with damping 1e-3, 1, 1e3, 1e6, relative to columns of norm one; every second one
lets the scale of a parameter shrink with its column."""
DEPENDENT = 1e-14
"""A column is taken to depend on others when less than this part of it is left."""
DEGENERATE = 1e-11
"""A triangle of unit columns with a smaller diagonal element has lost a parameter."""

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
    ``Q' residuals``. Reflections stay in the rows of `qr`.
    """
    n = residuals.size
    m = 0
    for j in range(free.size):
        if free[j] > 0.0:
            column, source, inverse = qr[m], jacobian[j], 1.0 / scale[j]
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
    for i in range(residuals.size):
        scratch[i] = 0.0
    for j in range(params.size):
        add_multiple(scratch, trial[j] - params[j], jacobian[j])
    total = 0.0
    for i in range(residuals.size):
        total -= scratch[i] * (2.0 * residuals[i] + scratch[i])
    return total


def choose_free(params, lower, upper, fixed, jacobian, residuals, free):
    """Free the parameters that are neither fixed nor held at a bound by the gradient."""
    for j in range(params.size):
        free[j] = 1.0 - fixed[j]
        if lower[j] < params[j] < upper[j]:
            continue
        slope = dot(jacobian[j], residuals)
        if (params[j] <= lower[j] and slope > 0.0) or (params[j] >= upper[j] and slope < 0.0):
            free[j] = 0.0


def rounding_noise(params, scale, size):
    """Bound the rounding error of the residuals, from the size of what they are made of."""
    total = size
    for j in range(params.size):
        total += abs(params[j]) * scale[j]
    return EPS * total


def smallest_ratio(r, m):
    """A bound from above on the smallest singular value of the unit-column triangle.

    One step of inverse iteration on ``R'R``, which is sharp enough to see a lost parameter.
    """
    smallest = 1.0
    for a in range(m):
        smallest = min(smallest, abs(r[a, a]))
    return smallest


def covariance(r, m, free, scale, s, out):
    """``inv(J'J)`` of the free parameters, from the triangle; False where that is singular."""
    p = free.size
    for j in range(p):
        for k in range(p):
            out[j, k] = 0.0
    for a in range(m):
        if not abs(r[a, a]) > p * EPS:
            return False
    for b in range(m):  # s = inv(R), column by column
        for a in range(m):
            s[a, b] = 0.0
        s[b, b] = 1.0 / r[b, b]
        for a in range(b - 1, -1, -1):
            total = 0.0
            for k in range(a + 1, b + 1):
                total -= r[a, k] * s[k, b]
            s[a, b] = total / r[a, a]
    a = 0
    for j in range(p):
        if free[j] > 0.0:
            b = 0
            for k in range(p):
                if free[k] > 0.0:
                    total = 0.0
                    for q in range(max(a, b), m):
                        total += s[a, q] * s[b, q]
                    out[j, k] = total / (scale[j] * scale[k])
                    b += 1
            a += 1
    return True


def column_scale(jacobian, scale, keep):
    """Set the scale of each parameter to the norm of its column, never below `keep` of before."""
    for j in range(jacobian.shape[0]):
        size = max(math.sqrt(sum_of_squares(jacobian[j])), keep * scale[j])
        scale[j] = size if size > 0.0 else 1.0


def is_finite(x):
    """Whether no element is infinite or NaN."""
    for i in range(x.size):
        if not abs(x[i]) < math.inf:
            return False
    return True


def probe_curvature(problem, params, step, trial, residuals, trial_residuals, jacobian, out):
    """Second derivative of the residuals along a step, from the residuals a part of it ahead.

    Transtrum and Sethna, equation 14. False where the model is not finite there.
    """
    for j in range(params.size):
        trial[j] = params[j] + PROBE * step[j]
    evaluate(problem, trial, trial_residuals)
    if not is_finite(trial_residuals):
        return False
    for i in range(residuals.size):
        out[i] = (trial_residuals[i] - residuals[i]) / PROBE
    for j in range(params.size):
        add_multiple(out, -step[j], jacobian[j])
    for i in range(residuals.size):
        out[i] *= 2.0 / PROBE
    return True


def spread(free, scale, z, out):
    """Unscale a step of the free parameters to all parameters."""
    a = 0
    for j in range(free.size):
        out[j] = 0.0
        if free[j] > 0.0:
            out[j] = z[a] / scale[j]
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


def search(problem, a, loss, f_scale, damping, keep, n_steps, gtol, counts):
    """Run one local search from ``a.params``; returns a status."""
    (params, lower, upper, fixed, trial, scale, free, step, z, qtf, norms, row) = a[0]
    (r, s, _), (residuals, trial_residuals, rotated), (jacobian, qr) = a[1], a[2], a[3]
    n, p = residuals.size, params.size
    evaluate_with_jacobian(problem, params, residuals, jacobian)
    counts[1] += 1
    cost = apply_loss(loss, f_scale, residuals)
    if not (cost < math.inf and is_finite(jacobian[0])):
        return NOT_FINITE
    for j in range(p):
        scale[j] = 0.0
    growth, ratio, n_unmeasured = 2.0, 0.0, 0
    while True:
        if loss != 0:
            scale_by_loss(loss, f_scale, residuals, jacobian)
        size = math.sqrt(cost)
        for j in range(p):
            if not is_finite(jacobian[j]):
                return NOT_FINITE
        choose_free(params, lower, upper, fixed, jacobian, residuals, free)
        column_scale(jacobian, scale, keep)
        m = factor(jacobian, free, scale, residuals, qr, r, qtf, rotated, norms)
        slope = math.sqrt(sum_of_squares(qtf[:m]))
        noise = rounding_noise(params, scale, size)
        if slope <= gtol * size + noise:
            return CONVERGED
        if counts[0] >= n_steps:
            return MAX_STEPS
        accepted = False
        while not accepted:
            counts[0] += 1
            damp(r, qtf, m, damping, s, z, row)
            promised = predicted_decrease(r, m, z, damping)
            spread(free, scale, z, step)
            if loss == 0 and abs(ratio - 1.0) > NEARLY_LINEAR:
                length = math.sqrt(sum_of_squares(z[:m]))
                counts[2] += 1
                if probe_curvature(
                    problem, params, step, trial, residuals, trial_residuals, jacobian, rotated
                ):
                    project(qr, norms, m, rotated, n)
                    correct(r, s, m, rotated, z, row)
                    if 2.0 * math.sqrt(sum_of_squares(z[:m])) <= ACCELERATION_LIMIT * length:
                        q = 0
                        for j in range(p):
                            if free[j] > 0.0:
                                step[j] += z[q] / scale[j]
                                q += 1
            if take(params, step, lower, upper, trial):
                promised = linear_decrease(jacobian, residuals, params, trial, rotated)
            evaluate(problem, trial, trial_residuals)
            counts[2] += 1
            new_cost = apply_loss(loss, f_scale, trial_residuals)
            decrease = cost - new_cost
            if new_cost < math.inf and promised > 0.0 and decrease > 1e-4 * promised:
                accepted = True
                ratio = decrease / promised
                damping *= max(1.0 / 3.0, 1.0 - (2.0 * min(ratio, 1.0) - 1.0) ** 3)
                growth = 2.0
            elif promised <= UNMEASURABLE * cost and abs(decrease) <= UNMEASURABLE * cost:
                # The cost cannot tell such steps apart; the slope, which is measured, decides.
                accepted = True
                ratio = 1.0
                damping /= 3.0
                n_unmeasured += 1
                if n_unmeasured > MAX_UNMEASURED:
                    return CONVERGED if slope <= ROUGH * size + noise else STALLED
            else:
                ratio = 0.0
                damping *= growth
                growth *= 2.0
                if damping > MAX_DAMPING or growth > MAX_DAMPING:
                    return CONVERGED if slope <= ROUGH * size + noise else STALLED
                if counts[0] >= n_steps:
                    return MAX_STEPS
        for j in range(p):
            params[j] = trial[j]
        evaluate_with_jacobian(problem, params, residuals, jacobian)
        counts[1] += 1
        cost = apply_loss(loss, f_scale, residuals)


def workspace_size(n_points, n_params):
    """How many numbers the workspace of a problem holds."""
    return 14 * n_params + 3 * n_params * n_params + 3 * n_points + 2 * n_params * n_points + 2


def divide(work, n, p):
    """Slice the workspace; the order is that of `OFFSETS`."""
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
    params, free = a[0][0], a[0][6]
    best, start = work[12 * p : 13 * p], work[13 * p : 14 * p]
    copy(params, start)
    copy(params, best)
    for k in range(4):
        counts[k] = 0
    best_cost, best_status = math.inf, NOT_FINITE
    steps = 0
    for strategy in range(N_STRATEGIES):
        damping = FIRST_DAMPING * MORE_DAMPING**strategy
        keep = 1.0 - strategy % 2
        copy(start, params)
        steps += counts[0]
        counts[0] = 0
        counts[3] += 1
        status = search(problem, a, loss, f_scale, damping, keep, max_steps, gtol, counts)
        cost = apply_loss(loss, f_scale, a[2][0])
        if status == CONVERGED and smallest_ratio(a[1][0], int(sum_of_squares(free))) < DEGENERATE:
            status = SINGULAR
        if status < best_status or (status == best_status and cost < best_cost):
            best_cost, best_status = cost, status
            copy(params, best)
        if status == CONVERGED or (status == NOT_FINITE and counts[1] == 1):
            break
    counts[0] += steps
    copy(best, params)
    return finish(problem, a, loss, f_scale, best_status)


def finish(problem, a, loss, f_scale, status):
    """Leave residuals, Jacobian and covariance of the parameters found."""
    params, fixed, scale, free = a[0][0], a[0][3], a[0][5], a[0][6]
    (r, s, out), (residuals, _, rotated), (jacobian, qr) = a[1], a[2], a[3]
    evaluate_with_jacobian(problem, params, residuals, jacobian)
    is_regular = False
    if status == CONVERGED:
        if loss != 0:
            scale_by_loss(loss, f_scale, residuals, jacobian)
        for j in range(params.size):
            free[j] = 1.0 - fixed[j]
            scale[j] = 0.0
        column_scale(jacobian, scale, 0.0)
        m = factor(jacobian, free, scale, residuals, qr, r, a[0][9], rotated, a[0][10])
        is_regular = covariance(r, m, free, scale, s, out)
        if loss != 0:
            evaluate_with_jacobian(problem, params, residuals, jacobian)
    if not is_regular:
        for j in range(params.size):
            for k in range(params.size):
                out[j, k] = math.inf
    return SINGULAR if status == CONVERGED and not is_regular else status


SUMS = ("sum_of_squares", "dot", "linear_decrease")
"""Functions whose sums may be added in any order, so that they are vectorized."""

FUNCTIONS = (
    workspace_size,
    sum_of_squares,
    dot,
    copy,
    add_multiple,
    is_finite,
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
    rounding_noise,
    smallest_ratio,
    covariance,
    column_scale,
    probe_curvature,
    spread,
    take,
    search,
    divide,
    finish,
    minimize,
)
