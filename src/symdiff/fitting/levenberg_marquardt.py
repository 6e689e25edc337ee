"""Levenberg-Marquardt for dense nonlinear least squares, as plain functions over arrays.

A backend compiles every function of `FUNCTIONS`; the two hooks are then calls of the user's kernel.
Nothing is allocated: all arrays are slices of one, which `divide` makes.

The method, in the order in which it runs:

* Each Jacobian is factored by Householder reflections, its columns scaled to norm one. The normal
  equations are never formed: their condition is the square, and certified digits would be lost.
* Parameters at a bound that the gradient holds there are left out of the step; a step beyond a
  bound is cut at it, and judged by what the linear model promises for the step so cut.
* A step solves the damped triangular system by Givens rotations, and is corrected by the geodesic
  acceleration of Transtrum and Sethna (2012), with the second derivative along the step from one
  more residual, while the correction is small against the step.
* The damping follows the ratio of actual to predicted decrease (Nielsen 1999). Points where the
  residuals or their derivatives are not finite are steps that failed.
* It has converged when the residuals are orthogonal to the tangent plane up to `gtol` (the relative
  offset of Bates and Watts 1981) or to the rounding of the residuals themselves. Both are
  invariant under the units of data and parameters, and neither is met by small steps alone.
* Near the end the cost cannot tell one step from another: the offset is of the order of the square
  root of what the cost resolves. Then steps are taken as they come, the offset steers the damping,
  and the search ends when it falls no more.
* A local method can end at a degenerate point: parameters run off to where the model has lost one
  of them, so that the Jacobian is singular. Then the search begins again from the start with more
  damping, and the best result stays. The fit has a covariance only if the Jacobian is regular.

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
"""With columns of norm one, a step damped by this is lost in the rounding of the parameters."""
ACCELERATION_LIMIT = 0.75
PROBE = 0.1
"""The limit of the correction against the step, and where on the step the second derivative is
taken, as Transtrum and Sethna (2012, sections 3 and 4) advise."""
UNMEASURABLE, MAX_UNMEASURED, LOWER = 1e-12, 8, 0.9
"""Relative changes of the cost below this are rounding errors. So many such steps are made while
the offset falls by no more than to this part of its least value."""
ROUGH = 1e-5
"""A search that can go no further has converged if the relative offset is below this."""
NO_STEP = 1e-8
"""A step that changes no parameter by more than this part of it leads nowhere."""
NEARLY_LINEAR = 0.1
"""After a step whose decrease was as promised to this part, no acceleration is computed."""

ENOUGH, LEAST_FACTOR, LINEAR_FACTOR = 1e-4, 1.0 / 3.0, 0.1
"""A step is taken when the cost falls by this part of what was promised. The damping falls by no
more than the second factor (Nielsen), in a first search by the third where the model is nearly
linear; a search that repeats one that ran off is careful."""
BACK = 1e3
"""After a step to where there is no derivative the damping rises by this, more than it fell."""
N_STRATEGIES, FIRST_DAMPING, MORE_DAMPING = 4, 1e-3, 1e3
"""Searches begin with damping 1e-3, 1, 1e3, 1e6, relative to columns of norm one; every second one
lets the scale of a parameter shrink with its column."""
DEPENDENT = 1e-14
"""A column is taken to depend on others when less than this part of it is left."""
MAX_CONDITION = 1e12
"""A Jacobian of unit columns whose condition exceeds this has lost a parameter: its own rounding
errors leave no more than a few digits of the covariance."""

RUNNING, CONVERGED, SINGULAR, MAX_STEPS, STALLED, NOT_FINITE = 0, 1, 2, 3, 4, 5

HOOK_DATA = 5
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


def norm(x):
    """Euclidean norm; infinite or NaN when an element is, or when it overflows."""
    return math.sqrt(sum_of_squares(x))


def leading_norm(x, m):
    """Norm of the first elements: those of the free parameters."""
    total = 0.0
    for a in range(m):
        total += x[a] * x[a]
    return math.sqrt(total)


def count(free):
    """How many parameters are free."""
    m = 0
    for j in range(free.size):
        if free[j] > 0.0:
            m += 1
    return m


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
    n, m = residuals.size, count(free)
    a = 0
    for j in range(free.size):
        if free[j] > 0.0:
            column, source, inverse = qr[a], jacobian[j], invert(scale[j])
            for i in range(n):
                column[i] = source[i] * inverse
            a += 1
    copy(residuals, rotated)
    for a in range(m):
        norms[a] = reflect(qr, a, m, rotated, n, r)
    for a in range(m):
        qtf[a] = rotated[a] if norms[a] != 0.0 else 0.0
    return m


def reflect(qr, a, m, rotated, n, r):
    """Do one Householder reflection; returns the factor of its vector, 0 where there is none."""
    for b in range(min(a, n)):
        r[b, a] = qr[a, b]
    if a >= n:  # more parameters than residuals
        for b in range(n, m):
            r[b, a] = 0.0
        return 0.0
    column = qr[a, a:]
    size = norm(column)
    if not size > DEPENDENT * math.hypot(size, norm(qr[a, :a])):
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


def solve_upper(r, m, z):
    """Solve ``R x = z`` in place; an element that a singular R leaves open becomes zero."""
    for a in range(m - 1, -1, -1):
        total = z[a]
        for b in range(a + 1, m):
            total -= r[a, b] * z[b]
        z[a] = total / r[a, a] if r[a, a] != 0.0 else 0.0


def damp(r, qtf, m, damping, s, z, row):
    """Solve ``[R; sqrt(damping) I] z = -[qtf; 0]`` by Givens rotations; `s` keeps the triangle."""
    for a in range(m):
        for b in range(a, m):
            s[a, b] = r[a, b]
        z[a] = -qtf[a]
    for a in range(m):
        for b in range(a, m):
            row[b] = 0.0
        row[a] = math.sqrt(damping)
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
    solve_upper(s, m, z)


def correct(r, s, m, curvature, z):
    """Solve ``S'S z = -R' curvature / 2`` for the acceleration."""
    for a in range(m):
        total = 0.0
        for b in range(min(a + 1, curvature.size)):
            total -= 0.5 * r[b, a] * curvature[b]
        for b in range(a):
            total -= s[b, a] * z[b]
        z[a] = total / s[a, a] if s[a, a] != 0.0 else 0.0
    solve_upper(s, m, z)


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
        if trial[j] != params[j]:
            add_multiple(scratch, trial[j] - params[j], jacobian[j])
    total = 0.0
    for i in range(residuals.size):
        total -= scratch[i] * (2.0 * residuals[i] + scratch[i])
    return total


def hold(params, lower, upper, jacobian, residuals, free):
    """Take those parameters from the free ones that the gradient holds at a bound."""
    for j in range(params.size):
        if free[j] > 0.0 and not lower[j] < params[j] < upper[j]:
            slope = dot(jacobian[j], residuals)
            if (params[j] <= lower[j] and slope > 0.0) or (params[j] >= upper[j] and slope < 0.0):
                free[j] = 0.0


def column_norms(jacobian, fixed, norms):
    """Compute the norms of the columns; False when one is infinite or NaN."""
    for j in range(fixed.size):
        norms[j] = 0.0 if fixed[j] > 0.0 else norm(jacobian[j])
        if not norms[j] < math.inf:
            return False
    return True


def rounding_noise(params, norms, size):
    """Bound the rounding error of the residuals, from the size of what they are made of."""
    total = size
    for j in range(params.size):
        total += abs(params[j]) * norms[j]
    return EPS * total


def linearize(problem, a, loss, f_scale, keep, holds, counts):
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
        free[j] = 1.0 - fixed[j]
    if holds:
        hold(params, lower, upper, jacobian, residuals, free)
    m = factor(jacobian, free, scale, residuals, qr, r, qtf, rotated, norms)
    return m, cost, leading_norm(qtf, m), noise


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


def spread(free, scale, z, step):
    """Unscale a step of the free parameters to one of all."""
    a = 0
    for j in range(free.size):
        step[j] = 0.0
        if free[j] > 0.0:
            step[j] = z[a] * invert(scale[j])
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
    spread(free, scale, z, step)
    if is_curved and probe_curvature(problem, a, counts):
        project(qr, norms, m, rotated, residuals.size)
        correct(r, s, m, rotated, row)
        if 2.0 * leading_norm(row, m) <= ACCELERATION_LIMIT * leading_norm(z, m):
            add_multiple(z, 1.0, row)
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
    (params, _, _, _, _, scale, free, step, z, qtf, _, _) = a[0]
    r = a[1][0]
    if slope <= ROUGH * size + noise:
        return CONVERGED
    is_orthogonal = True
    for k in range(m):
        gradient, square = 0.0, 0.0
        for b in range(k + 1):
            gradient += r[b, k] * qtf[b]
            square += r[b, k] * r[b, k]
        is_orthogonal = is_orthogonal and abs(gradient) <= ROUGH * math.sqrt(square) * size
    if is_orthogonal:
        return SINGULAR
    copy(qtf, z)
    solve_upper(r, m, z)
    spread(free, scale, z, step)
    for j in range(params.size):
        if abs(step[j]) > NO_STEP * abs(params[j]):
            return STALLED
    return CONVERGED


def reduction(ratio, fastest):
    """Nielsen's factor for the damping after a step; `fastest` where the model is nearly linear."""
    if abs(ratio - 1.0) < NEARLY_LINEAR:
        return fastest
    return max(LEAST_FACTOR, 1.0 - (2.0 * min(ratio, 1.0) - 1.0) ** 3)


def search(problem, a, loss, f_scale, damping, keep, fastest, max_steps, gtol, counts):
    """Run one local search; returns a status, the cost and the number of factored columns."""
    params, fixed, trial, before = a[0][0], a[0][3], a[0][4], a[0][8]
    trial_residuals = a[2][1]
    growth, ratio, n_unmeasured, n_tried = 2.0, 0.0, 0, 0
    m, cost, size, slope, noise, least = 0, 0.0, 0.0, 0.0, 0.0, math.inf
    status, is_moved, is_blurred = RUNNING, True, False
    while True:
        if is_moved:
            holds = status == RUNNING
            m, cost, slope, noise = linearize(problem, a, loss, f_scale, keep, holds, counts)
            size = math.sqrt(cost)
            if m < 0 and n_tried == 0:
                return NOT_FINITE, cost, m
            if m < 0:  # no derivative there, as of a root at its bound: go back, and on by less
                copy(before, params)
                damping *= BACK
                ratio = 0.0
                continue
            # Under a robust loss the weights change with the point, and slopes are not compared.
            if is_blurred and loss == 0 and slope >= least:
                damping *= growth
                growth *= 2.0
            elif is_blurred:
                damping *= LEAST_FACTOR
                growth = 2.0
            if slope < LOWER * least:
                n_unmeasured = 0
            least = min(slope, least) if is_blurred else slope
        if status == RUNNING:
            if slope <= gtol * size + noise:
                status = CONVERGED
            elif n_tried >= max_steps:
                status = MAX_STEPS
            elif n_unmeasured > MAX_UNMEASURED or damping > MAX_DAMPING or growth > MAX_DAMPING:
                status = verdict(a, m, slope, size, noise)
            # For the covariance, parameters at a bound are free, as in SciPy.
            is_moved = status == CONVERGED and m + count(fixed) < params.size
            if is_moved:
                continue
        if status != RUNNING:
            return status, cost, m
        n_tried += 1
        counts[0] += 1
        is_curved = loss == 0 and abs(ratio - 1.0) > NEARLY_LINEAR
        promised = propose(problem, a, m, damping, is_curved, counts)
        evaluate(problem, trial, trial_residuals)
        counts[2] += 1
        decrease = cost - apply_loss(loss, f_scale, trial_residuals)
        # What the rounding of the cost hides; there the slope, which is measured, decides.
        blur = UNMEASURABLE * cost + size * noise
        # What is infinite or NaN fails both comparisons.
        is_better = promised > 0.0 and decrease > ENOUGH * promised
        is_blurred = not is_better and promised <= blur and abs(decrease) <= blur
        is_moved = is_better or is_blurred
        if is_moved:
            copy(params, before)
            copy(trial, params)
        if is_better:
            ratio = decrease / promised
            damping *= reduction(ratio, fastest)
            growth = 2.0
        elif is_blurred:
            ratio = 1.0
            n_unmeasured += 1
        else:
            ratio = 0.0
            damping *= growth
            growth *= 2.0


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
        for b in range(a, m):
            total += square * s[a, b] * s[a, b]
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
                for c in range(max(a, b), m):
                    out[j, k] += s[a, c] * s[b, c] / (scale[j] * scale[k])


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


def finish(problem, a, m, is_scaled, status):
    """Leave residuals, Jacobian and covariance of the parameters found."""
    params, scale, free = a[0][0], a[0][5], a[0][6]
    s, out, residuals, jacobian = a[1][1], a[1][2], a[2][0], a[3][0]
    if status == CONVERGED:
        covariance(s, m, free, scale, out)
    else:
        for j in range(params.size):
            for k in range(params.size):
                out[j, k] = math.inf
    if is_scaled or status != CONVERGED:
        evaluate_with_jacobian(problem, params, residuals, jacobian)


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
        A status of this module. `CONVERGED` alone is a success; after the others ``inv(J'J)`` is
        infinite, and the parameters are those of the least cost that was met.
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
        for j in range(p):
            scale[j] = 0.0
        counts[3] += 1
        damping, keep = FIRST_DAMPING * MORE_DAMPING**strategy, 1.0 - strategy % 2
        fastest = LINEAR_FACTOR if strategy == 0 else LEAST_FACTOR
        status, cost, m = search(
            problem, a, loss, f_scale, damping, keep, fastest, max_steps, gtol, counts
        )
        if status == CONVERGED and invert_triangle(a[1][0], m, a[1][1]) > MAX_CONDITION:
            status = SINGULAR
        is_lower = cost < best_cost * (1.0 - ROUGH)
        is_level = cost <= best_cost * (1.0 + ROUGH)
        if status == CONVERGED or is_lower or (is_level and status < best_status):
            best_cost, best_status = cost, status
            copy(params, best)
        if status in (CONVERGED, NOT_FINITE):
            break
    copy(best, params)
    finish(problem, a, m, loss != 0, best_status)
    return best_status


SUMS = ("sum_of_squares", "dot", "linear_decrease")
"""Functions whose sums may be added in any order, so that they are vectorized."""

FUNCTIONS = (
    workspace_size,
    sum_of_squares,
    norm,
    leading_norm,
    count,
    invert,
    dot,
    copy,
    add_multiple,
    apply_loss,
    scale_by_loss,
    reflect,
    factor,
    project,
    solve_upper,
    damp,
    correct,
    predicted_decrease,
    linear_decrease,
    hold,
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
