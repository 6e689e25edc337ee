/* ADBench's diagonal LSTM: value and gradient by hand. Every row is padded to W = 16 lanes; L is the
   number of layers. Padded weights are 0 and the padded output bias -700, so that these lanes count
   for nothing. The forward sweep keeps six vectors a layer and step, the backward sweep reads them
   once; of all exponentials none is computed twice. */
#include <math.h>
#include "vectors.h"

#define V 2
#define W (8 * V)

enum { FORGET, INGATE, OUTGATE, CHANGE, TANH, CELL, KEPT };
typedef struct { v8 v[KEPT][V]; } step;

/* weights, biases: [L][4][W]; extra: [3][W]; state: [L][2][W] (hidden, cell); text: [steps + 1][W];
   kept: [steps][L]; chances: [steps][W]; sums: [steps][2]. */
void lstm(int steps, const double *weights, const double *biases, const double *extra,
          const double *state, const double *text, step *restrict kept, double *restrict chances,
          double *restrict sums, double *value, double *d_weights, double *d_biases,
          double *d_extra)
{
    v8 w[L][4][V], b[L][4][V], hidden[L][V], cell[L][V], e[3][V], total[V];
    memcpy(w, weights, sizeof w);
    memcpy(b, biases, sizeof b);
    memcpy(e, extra, sizeof e);
    for (int l = 0; l < L; l++) {
        memcpy(hidden[l], state + 2 * l * W, sizeof hidden[l]);
        memcpy(cell[l], state + (2 * l + 1) * W, sizeof cell[l]);
    }
    memset(total, 0, sizeof total);
    for (int t = 0; t < steps; t++) {
        v8 x[V], sum = all8(0), count = all8(0);
        for (int q = 0; q < V; q++) x[q] = load8(text + t * W + 8 * q) * e[0][q];
        for (int l = 0; l < L; l++) {
            step *now = kept + t * L + l;
            for (int q = 0; q < V; q++) {
                v8 f = sigmoid8(x[q] * w[l][FORGET][q] + b[l][FORGET][q]);
                v8 i = sigmoid8(hidden[l][q] * w[l][INGATE][q] + b[l][INGATE][q]);
                v8 o = sigmoid8(x[q] * w[l][OUTGATE][q] + b[l][OUTGATE][q]);
                v8 g = tanh8(hidden[l][q] * w[l][CHANGE][q] + b[l][CHANGE][q]);
                v8 c = cell[l][q] * f + i * g, tanhc = tanh8(c);
                cell[l][q] = c;
                x[q] = hidden[l][q] = o * tanhc;
                now->v[FORGET][q] = f;
                now->v[INGATE][q] = i;
                now->v[OUTGATE][q] = o;
                now->v[CHANGE][q] = g;
                now->v[TANH][q] = tanhc;
                now->v[CELL][q] = c;
            }
        }
        v8 p[V];
        for (int q = 0; q < V; q++) {
            v8 logits = x[q] * e[1][q] + e[2][q];
            p[q] = exp8(logits);
            sum += p[q];
            total[q] += load8(text + (t + 1) * W + 8 * q) * logits;
            count += load8(text + (t + 1) * W + 8 * q);
        }
        double s = sum8(sum) + 2.0;
        double n = sum8(count);
        sums[2 * t] = s;
        sums[2 * t + 1] = n;
        for (int q = 0; q < V; q++) store8(chances + t * W + 8 * q, p[q] * (n / s));
    }
    double result = sum8(total[0]) + sum8(total[1]);
    for (int t = 0; t < steps; t++) result -= log(sums[2 * t]) * sums[2 * t + 1];

    v8 dw[L][4][V], db[L][4][V], de[3][V], dh[L][V], dc[L][V];
    memset(dw, 0, sizeof dw);
    memset(db, 0, sizeof db);
    memset(de, 0, sizeof de);
    memset(dh, 0, sizeof dh);
    memset(dc, 0, sizeof dc);
    for (int t = steps - 1; t >= 0; t--) {
        v8 dx[V];
        for (int q = 0; q < V; q++) {
            const step *top = kept + t * L + L - 1;
            v8 d = load8(text + (t + 1) * W + 8 * q) - load8(chances + t * W + 8 * q);
            de[1][q] += d * top->v[OUTGATE][q] * top->v[TANH][q];
            de[2][q] += d;
            dx[q] = d * e[1][q];
        }
        for (int l = L - 1; l >= 0; l--) {
            const step *now = kept + t * L + l;
            for (int q = 0; q < V; q++) {
                v8 f = now->v[FORGET][q], i = now->v[INGATE][q], o = now->v[OUTGATE][q];
                v8 g = now->v[CHANGE][q], tanhc = now->v[TANH][q], x, before, cell_before;
                if (l) x = now[-1].v[OUTGATE][q] * now[-1].v[TANH][q];
                else x = load8(text + t * W + 8 * q) * e[0][q];
                if (t) {
                    before = now[-L].v[OUTGATE][q] * now[-L].v[TANH][q];
                    cell_before = now[-L].v[CELL][q];
                } else {
                    before = load8(state + 2 * l * W + 8 * q);
                    cell_before = load8(state + (2 * l + 1) * W + 8 * q);
                }
                v8 h = dh[l][q] + dx[q];
                v8 c = dc[l][q] + h * o * (1.0 - tanhc * tanhc);
                v8 df = c * cell_before * (f * (1.0 - f)), di = c * g * (i * (1.0 - i));
                v8 dout = h * tanhc * (o * (1.0 - o)), dg = c * i * (1.0 - g * g);
                dc[l][q] = c * f;
                dw[l][FORGET][q] += df * x;
                dw[l][INGATE][q] += di * before;
                dw[l][OUTGATE][q] += dout * x;
                dw[l][CHANGE][q] += dg * before;
                db[l][FORGET][q] += df;
                db[l][INGATE][q] += di;
                db[l][OUTGATE][q] += dout;
                db[l][CHANGE][q] += dg;
                dx[q] = df * w[l][FORGET][q] + dout * w[l][OUTGATE][q];
                dh[l][q] = di * w[l][INGATE][q] + dg * w[l][CHANGE][q];
            }
        }
        for (int q = 0; q < V; q++) de[0][q] += dx[q] * load8(text + t * W + 8 * q);
    }
    memcpy(d_weights, dw, sizeof dw);
    memcpy(d_biases, db, sizeof db);
    memcpy(d_extra, de, sizeof de);
    *value = result;
}
