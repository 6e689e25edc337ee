/* Eight lanes of double, with the GCC/Clang vector extension: any width the machine lacks is split. */
#include <stdint.h>
#include <string.h>

typedef double v8 __attribute__((vector_size(64)));
typedef int64_t i8 __attribute__((vector_size(64)));

static inline v8 load8(const double *p) { v8 v; memcpy(&v, p, 64); return v; }
static inline void store8(double *p, v8 v) { memcpy(p, &v, 64); }
static inline v8 all8(double x) { return x - (v8){0}; }
static inline v8 max8(v8 a, v8 b)
{
    i8 m = a > b;
    return (v8)((m & (i8)a) | (~m & (i8)b));
}
static inline double sum8(v8 v)
{
    return ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7]));
}

/* exp to 2 ulp for |x| < 700: x = n ln 2 + r, a polynomial of r, and n into the exponent. Adding
   1.5 * 2^52 rounds to an integer; the compiler may not reassociate, so no -ffast-math here. */
static inline v8 exp8(v8 x)
{
    const v8 magic = all8(6755399441055744.0);
    v8 t = x * 1.4426950408889634 + magic;
    v8 n = t - magic;
    v8 r = (x - n * 0x1.62e42fefa39efp-1) - n * 0x1.abc9e3b39803fp-56;
    v8 r2 = r * r, r4 = r2 * r2;
    v8 a = 1.0 + r + r2 * (0.5 + r * 0x1.5555555555555p-3);
    v8 b = 0x1.5555555555555p-5 + r * 0x1.1111111111111p-7
         + r2 * (0x1.6c16c16c16c17p-10 + r * 0x1.a01a01a01a01ap-13);
    v8 c = 0x1.a01a01a01a01ap-16 + r * 0x1.71de3a556c734p-19
         + r2 * (0x1.27e4fb7789f5cp-22 + r * 0x1.ae64567f544e4p-26 + r2 * 0x1.1eed8eff8d898p-29);
    v8 p = a + r4 * (b + r4 * c);
    i8 e = (i8)t << 52;
    return (v8)((i8)p + e);
}

static inline v8 tanh8(v8 x) { return 1.0 - 2.0 / (exp8(2.0 * x) + 1.0); }
static inline v8 sigmoid8(v8 x) { return 1.0 / (1.0 + exp8(-x)); }

/* sin and cos to 2 ulp for |x| < 1e4: a multiple of pi/2 taken off in three parts, two polynomials. */
static inline void sincos8(v8 x, v8 *sine, v8 *cosine)
{
    const v8 magic = all8(6755399441055744.0);
    v8 t = x * 0.6366197723675814 + magic, n = t - magic;
    v8 r = ((x - n * 0x1.921fb54400000p0) - n * 0x1.0b4611a600000p-34) - n * 0x1.3198a2e037073p-69;
    v8 z = r * r;
    v8 s = -1.66666666666666324348e-01 + z * (8.33333333332248946124e-03
         + z * (-1.98412698298579493134e-04 + z * (2.75573137070700676789e-06
         + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10))));
    v8 c = 4.16666666666666019037e-02 + z * (-1.38888888888741095749e-03
         + z * (2.48015872894767294178e-05 + z * (-2.75573143513906633035e-07
         + z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11))));
    s = r + r * z * s;
    c = 1.0 - 0.5 * z + z * z * c;
    i8 quadrant = (i8)t & 3;
    i8 odd = -(quadrant & 1);
    v8 one = (v8)((odd & (i8)c) | (~odd & (i8)s)), two = (v8)((odd & (i8)s) | (~odd & (i8)c));
    *sine = (v8)((i8)one ^ ((quadrant & 2) << 62));
    *cosine = (v8)((i8)two ^ (((quadrant + 1) & 2) << 62));
}
