/* ADBench's bundle adjustment: the dense blocks (2 x 15) of all observations, and the errors.

   A block's columns are the camera (rotation 3, centre 3, focal length, principal point 2, radial
   distortion 2), the point (3) and the weight. Lanes are observations.

   With a = theta^2, y = x cos t + (w x x) sin t / t + w (w.x) (1 - cos t) / t^2 for the rotation
   vector w of length t. The errors of y follow by the chain rule through the 2 x 3 Jacobian P of
   the projection; dy/dx is the rotation matrix; dy/dw follows from the product rule, with
   s = sin t / t and g = (1 - cos t) / t^2, whose derivatives by w are (cos t - s) / t^2 w and
   (s - 2 g) / t^2 w. */
#include <math.h>
#include "vectors.h"

#define CAMERA 11

static inline v8 gather(const double *base, const int64_t *at, int stride, int k)
{
    v8 v;
    for (int q = 0; q < 8; q++) v[q] = base[at[2 * q] * stride + k];
    return v;
}

/* obs is (p, 2) of indices; errors (p, 2); J (p, 2, 15); p a multiple of 8. */
void ba(int p, const double *cams, const double *points, const double *weights, const int64_t *obs,
        const double *feats, double *restrict errors, double *restrict J)
{
    for (int o = 0; o < p; o += 8, obs += 16, J += 240) {
        v8 c[CAMERA], x[3], d[30];
        for (int k = 0; k < CAMERA; k++) c[k] = gather(cams, obs, CAMERA, k);
        for (int k = 0; k < 3; k++) x[k] = gather(points, obs + 1, 3, k) - c[3 + k];
        v8 weight = load8(weights + o);
        v8 t2 = c[0] * c[0] + c[1] * c[1] + c[2] * c[2], t, sn, cs;
        for (int q = 0; q < 8; q++) t[q] = sqrt(t2[q]);
        sincos8(t, &sn, &cs);
        v8 inv = 1.0 / t, inv2 = inv * inv;
        v8 s = sn * inv, g = (1.0 - cs) * inv2;
        v8 ds = (cs - s) * inv2, dg = (s - 2.0 * g) * inv2;
        v8 wx = c[0] * x[0] + c[1] * x[1] + c[2] * x[2];
        v8 cross[3] = {c[1] * x[2] - c[2] * x[1], c[2] * x[0] - c[0] * x[2],
                       c[0] * x[1] - c[1] * x[0]};
        v8 y[3], along[3], R[3][3], W[3][3];
        for (int i = 0; i < 3; i++) {
            y[i] = x[i] * cs + cross[i] * s + c[i] * (wx * g);
            along[i] = cross[i] * ds + c[i] * (wx * dg) - x[i] * s;
        }
        v8 gw[3] = {g * c[0], g * c[1], g * c[2]}, sw[3] = {s * c[0], s * c[1], s * c[2]};
        v8 sx[3] = {s * x[0], s * x[1], s * x[2]};
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++) {
                R[i][j] = gw[i] * c[j];
                W[i][j] = along[i] * c[j] + gw[i] * x[j];
            }
        for (int i = 0; i < 3; i++) {
            R[i][i] += cs;
            W[i][i] += g * wx;
        }
        R[0][1] -= sw[2]; R[0][2] += sw[1]; R[1][0] += sw[2];
        R[1][2] -= sw[0]; R[2][0] -= sw[1]; R[2][1] += sw[0];
        W[0][1] += sx[2]; W[0][2] -= sx[1]; W[1][0] -= sx[2];
        W[1][2] += sx[0]; W[2][0] += sx[1]; W[2][1] -= sx[0];
        v8 depth = 1.0 / y[2], u = y[0] * depth, v = y[1] * depth;
        v8 r2 = u * u + v * v;
        v8 radial = 1.0 + r2 * (c[9] + r2 * c[10]), slope = 2.0 * (c[9] + 2.0 * r2 * c[10]);
        v8 wf = weight * c[6], wfr = wf * radial, wfs = wf * slope;
        v8 uu = wfr + wfs * u * u, uv = wfs * u * v, vv = wfr + wfs * v * v;
        v8 P[2][3] = {{uu * depth, uv * depth, -(uu * u + uv * v) * depth},
                      {uv * depth, vv * depth, -(uv * u + vv * v) * depth}};
        v8 at[2] = {u, v};
        for (int e = 0; e < 2; e++) {
            v8 *row = d + 15 * e, flat = at[e] * radial, wfu = wf * at[e] * r2;
            for (int j = 0; j < 3; j++) {
                row[j] = P[e][0] * W[0][j] + P[e][1] * W[1][j] + P[e][2] * W[2][j];
                row[11 + j] = P[e][0] * R[0][j] + P[e][1] * R[1][j] + P[e][2] * R[2][j];
                row[3 + j] = -row[11 + j];
            }
            row[6] = weight * flat;
            row[7] = e ? all8(0) : weight;
            row[8] = e ? weight : all8(0);
            row[9] = wfu;
            row[10] = wfu * r2;
            v8 error = flat * c[6] + c[7 + e];
            for (int q = 0; q < 8; q++) error[q] -= feats[2 * (o + q) + e];
            row[14] = error;
            error *= weight;
            for (int q = 0; q < 8; q++) errors[2 * (o + q) + e] = error[q];
        }
        for (int q = 0; q < 8; q++)
            for (int k = 0; k < 30; k++) J[30 * q + k] = d[k][q];
    }
}
