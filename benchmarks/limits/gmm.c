/* ADBench's mixture of Gaussians: value and gradient by hand, D and K known to the compiler.

   With c = x - mean_k and the lower factor Q_k (its diagonal exponentiated), a pair (point, k) has
   log weight a_k + sum q_k - |Q_k c|^2 / 2. With responsibilities w, every gradient follows from
   the moments s = sum w, m = sum w c, S = sum w c c' over the points:
   d/dQ = -Q S (lower triangle), d/dmean = Q' Q m. Lanes are points; a tile of points stays in L1. */
#include <math.h>
#include <stdlib.h>
#include "vectors.h"

#define TILE 128             /* points */
#define R (D % 5 ? (D % 4 ? 2 : 4) : 5) /* rows of S held in registers at once */
#define FACTORS (D * (D - 1) / 2)

static double Q[K][D][D];
static double S[K][D][D], m[K][D], s[K];
static double shift[K];
static double logits[K][TILE] __attribute__((aligned(64)));

/* Log weights of TILE points: x is [D][TILE]. */
static void forward(int k, const double *restrict x, const double *restrict mean)
{
    for (int p = 0; p < TILE; p += 16) {
        v8 c0[D], c1[D], q0 = all8(0), q1 = all8(0);
        for (int i = 0; i < D; i++) {
            c0[i] = load8(x + i * TILE + p) - mean[i];
            c1[i] = load8(x + i * TILE + p + 8) - mean[i];
            v8 y0 = all8(0), y1 = all8(0);
            for (int j = 0; j <= i; j++) {
                y0 += Q[k][i][j] * c0[j];
                y1 += Q[k][i][j] * c1[j];
            }
            q0 += y0 * y0;
            q1 += y1 * y1;
        }
        store8(logits[k] + p, shift[k] - 0.5 * q0);
        store8(logits[k] + p + 8, shift[k] - 0.5 * q1);
    }
}

/* Sum of log-sum-exp over the points of a tile; logits become responsibilities, 0 past n. */
static double normalise(int n)
{
    double total = 0;
    for (int p = 0; p < TILE; p += 8) {
        v8 top = load8(logits[0] + p), sum = all8(0);
        for (int k = 1; k < K; k++) top = max8(top, load8(logits[k] + p));
        for (int k = 0; k < K; k++) {
            v8 e = exp8(max8(load8(logits[k] + p) - top, all8(-700.0)));
            store8(logits[k] + p, e);
            sum += e;
        }
        v8 scale = 1.0 / sum;
        for (int q = 0; q < 8; q++)
            if (p + q < n) total += log(sum[q]) + top[q];
            else scale[q] = 0;
        for (int k = 0; k < K; k++) store8(logits[k] + p, load8(logits[k] + p) * scale);
    }
    return total;
}

/* Add a tile to the moments of component k. */
static void moments(int k, const double *restrict x, const double *restrict mean)
{
    double centered[D][TILE] __attribute__((aligned(64)));
    v8 total = all8(0);
    for (int p = 0; p < TILE; p += 8) total += load8(logits[k] + p);
    s[k] += sum8(total);
    for (int i = 0; i < D; i++)
        for (int p = 0; p < TILE; p += 8)
            store8(centered[i] + p, load8(x + i * TILE + p) - mean[i]);
    for (int i = 0; i < D; i += R) {
        for (int j = 0; j <= i; j += R) {
            v8 sums[R][R], first[R];
            for (int a = 0; a < R; a++) {
                first[a] = all8(0);
                for (int b = 0; b < R; b++) sums[a][b] = all8(0);
            }
            for (int p = 0; p < TILE; p += 8) {
                v8 w = load8(logits[k] + p);
                for (int a = 0; a < R; a++) {
                    v8 wc = w * load8(centered[i + a] + p);
                    if (j == 0) first[a] += wc;
                    for (int b = 0; b < R; b++) sums[a][b] += wc * load8(centered[j + b] + p);
                }
            }
            for (int a = 0; a < R; a++) {
                if (j == 0) m[k][i + a] += sum8(first[a]);
                for (int b = 0; b < R; b++) {
                    double v = sum8(sums[a][b]);
                    S[k][i + a][j + b] += v;
                    if (j < i) S[k][j + b][i + a] += v;
                }
            }
        }
    }
}

/* value[0]; gradients of the shapes of alphas, means, icf. x is [n / TILE][D][TILE], padded. */
void gmm(int n, const double *alphas, const double *means, const double *icf, const double *x,
         double gamma, int wishart_m, double constant, double *value,
         double *d_alphas, double *d_means, double *d_icf)
{
    double total = constant, top = alphas[0], sum = 0;
    memset(S, 0, sizeof S);
    memset(m, 0, sizeof m);
    memset(s, 0, sizeof s);
    for (int k = 0; k < K; k++) {
        const double *q = icf + k * (D + FACTORS), *l = q + D;
        shift[k] = alphas[k];
        for (int j = 0; j < D; j++) {
            shift[k] += q[j];
            Q[k][j][j] = exp(q[j]);
            for (int i = j + 1; i < D; i++) Q[k][i][j] = *l++;
        }
        top = alphas[k] > top ? alphas[k] : top;
    }
    for (int begin = 0; begin < n; begin += TILE) {
        const double *tile = x + (long)begin * D;
        for (int k = 0; k < K; k++) forward(k, tile, means + k * D);
        total += normalise(n - begin);
        for (int k = 0; k < K; k++) moments(k, tile, means + k * D);
    }
    for (int k = 0; k < K; k++) sum += exp(alphas[k] - top);
    total -= n * (log(sum) + top);
    for (int k = 0; k < K; k++) {
        double *g = d_icf + k * (D + FACTORS), *l = g + D, qm[D];
        d_alphas[k] = s[k] - n * exp(alphas[k] - top) / sum;
        for (int i = 0; i < D; i++) {
            qm[i] = 0;
            for (int j = 0; j <= i; j++) qm[i] += Q[k][i][j] * m[k][j];
        }
        for (int j = 0; j < D; j++) {
            double dm = 0;
            for (int i = j; i < D; i++) {
                double qs = 0, factor = Q[k][i][j];
                for (int h = 0; h <= i; h++) qs += Q[k][i][h] * S[k][h][j];
                dm += factor * qm[i];
                total += 0.5 * gamma * gamma * factor * factor;
                if (i == j)
                    g[j] = s[k] - qs * factor + gamma * gamma * factor * factor - wishart_m;
                else
                    *l++ = gamma * gamma * factor - qs;
            }
            d_means[k * D + j] = dm;
            total -= wishart_m * icf[k * (D + FACTORS) + j];
        }
    }
    *value = total;
}
