/* Reads an array once: what a kernel that is bound by memory can reach. */
#include "vectors.h"

double read_all(long n, const double *x)
{
    v8 a = all8(0), b = all8(0), c = all8(0), d = all8(0);
    for (long i = 0; i + 32 <= n; i += 32) {
        a += load8(x + i);
        b += load8(x + i + 8);
        c += load8(x + i + 16);
        d += load8(x + i + 24);
    }
    return sum8(a + b + c + d);
}
