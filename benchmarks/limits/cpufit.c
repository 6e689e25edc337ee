/* Cpufit's algorithm as published (Przybylski et al., Scientific Reports 7 (2017) 15722), one fit
   after the other: Levenberg-Marquardt on the normal equations, which are solved by Gauss-Jordan
   elimination with full pivoting; damping times 0.1 after a step that helped, times 10 after another;
   done when chi square changes by less than `tol` of itself. The model is its 2-D Gaussian. REAL is
   the type of the numbers, S the pixels of a side. */
#include <math.h>

#define P 5
#define N (S * S)

static REAL exponential(REAL x) { return sizeof(REAL) == 4 ? expf(x) : exp(x); }

static REAL evaluate(const REAL *y, const REAL *p, REAL *value, REAL (*slope)[N])
{
    REAL chi = 0, inverse = 1 / (p[3] * p[3]);
    for (int n = 0; n < N; n++) {
        REAL u = n % S - p[1], v = n / S - p[2];
        REAL e = exponential(-(u * u + v * v) * inverse / 2), a = p[0] * e * inverse;
        value[n] = p[0] * e + p[4];
        slope[0][n] = e;
        slope[1][n] = a * u;
        slope[2][n] = a * v;
        slope[3][n] = a * (u * u + v * v) / p[3];
        slope[4][n] = 1;
        chi += (value[n] - y[n]) * (value[n] - y[n]);
    }
    return chi;
}

static int solve(REAL (*m)[P], REAL *b)
{
    int used[P] = {0};
    for (int round = 0; round < P; round++) {
        int row = 0, column = 0;
        REAL largest = -1;
        for (int i = 0; i < P; i++) {
            if (used[i]) continue;
            for (int k = 0; k < P; k++)
                if (!used[k] && fabs(m[i][k]) >= largest) {
                    largest = fabs(m[i][k]);
                    row = i;
                    column = k;
                }
        }
        if (!(largest > 0)) return 0;
        used[column] = 1;
        if (row != column) {
            for (int k = 0; k < P; k++) {
                REAL t = m[row][k];
                m[row][k] = m[column][k];
                m[column][k] = t;
            }
            REAL t = b[row];
            b[row] = b[column];
            b[column] = t;
        }
        REAL inverse = 1 / m[column][column];
        for (int k = 0; k < P; k++) m[column][k] *= inverse;
        b[column] *= inverse;
        for (int i = 0; i < P; i++) {
            if (i == column) continue;
            REAL factor = m[i][column];
            for (int k = 0; k < P; k++) m[i][k] -= factor * m[column][k];
            b[i] -= factor * b[column];
        }
    }
    return 1;
}

/* y: [fits][N]; params: [fits][P], from start to result. */
void cpufit(long fits, const REAL *y, REAL *params, REAL tol, int max_steps)
{
    for (long fit = 0; fit < fits; fit++, y += N, params += P) {
        REAL value[N], slope[P][N], hessian[P][P], gradient[P], scale[P] = {0}, lambda = 0.001f;
        REAL chi = evaluate(y, params, value, slope);
        int is_new = 1;
        for (int step = 0; step < max_steps; step++) {
            REAL m[P][P], delta[P], trial[P];
            if (is_new)
                for (int i = 0; i < P; i++) {
                    gradient[i] = 0;
                    for (int n = 0; n < N; n++) gradient[i] += slope[i][n] * (y[n] - value[n]);
                    for (int k = 0; k <= i; k++) {
                        REAL sum = 0;
                        for (int n = 0; n < N; n++) sum += slope[i][n] * slope[k][n];
                        hessian[i][k] = hessian[k][i] = sum;
                    }
                    scale[i] = fmax(scale[i], hessian[i][i]);
                }
            for (int i = 0; i < P; i++) {
                for (int k = 0; k < P; k++) m[i][k] = hessian[i][k];
                m[i][i] += scale[i] * lambda;
                delta[i] = gradient[i];
            }
            if (!solve(m, delta)) break;
            for (int i = 0; i < P; i++) trial[i] = params[i] + delta[i];
            REAL new_value[N], new_slope[P][N];
            REAL there = evaluate(y, trial, new_value, new_slope);
            int is_done = fabs(there - chi) < tol * fmax(1, there);
            is_new = there < chi;
            lambda *= is_new ? 0.1f : 10;
            if (is_new) {
                chi = there;
                for (int i = 0; i < P; i++) params[i] = trial[i];
                __builtin_memcpy(value, new_value, sizeof value);
                __builtin_memcpy(slope, new_slope, sizeof slope);
            }
            if (is_done) break;
        }
    }
}
