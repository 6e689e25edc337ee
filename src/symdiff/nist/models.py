"""The models of the NIST StRD nonlinear regression problems, as ordinary NumPy functions.

Each is ``f(x, b1, b2, ...)``, as ``curve_fit`` wants it. A model that serves several data sets
stands here once.

References
----------
National Institute of Standards and Technology, Statistical Reference Datasets, nonlinear
regression. The study behind each data set is named with its model.
"""

# The models show what users write, which has no annotations.
# pyright: reportMissingParameterType=false

import numpy as np

__all__ = [
    "bennett5",
    "chwirut",
    "cubic_rational",
    "danwood",
    "eckerle4",
    "enso",
    "exponential_rise",
    "gauss",
    "kirby2",
    "lanczos",
    "mgh09",
    "mgh10",
    "mgh17",
    "misra1b",
    "misra1c",
    "misra1d",
    "nelson",
    "rat42",
    "rat43",
    "roszman1",
]


def exponential_rise(x, b1, b2):
    """Evaluate ``b1 * (1 - exp(-b2*x))``.

    Misra1a: dental research in monomolecular adsorption (Misra, NIST, 1978).
    BoxBOD: biochemical oxygen demand (Box, Hunter and Hunter, Statistics for Experimenters, 1978).

    Examples
    --------
    >>> float(exponential_rise(1e9, 2.0, 1.0))
    2.0
    """
    return b1 * (1 - np.exp(-b2 * x))


def misra1b(x, b1, b2):
    """Evaluate ``b1 * (1 - (1 + b2*x/2)**-2)`` (Misra, NIST, 1978).

    Examples
    --------
    >>> misra1b(2.0, 4.0, 1.0)
    3.0
    """
    return b1 * (1 - (1 + b2 * x / 2) ** -2)


def misra1c(x, b1, b2):
    """Evaluate ``b1 * (1 - (1 + 2*b2*x)**-0.5)`` (Misra, NIST, 1978).

    Examples
    --------
    >>> misra1c(1.5, 2.0, 1.0)
    1.0
    """
    return b1 * (1 - (1 + 2 * b2 * x) ** -0.5)


def misra1d(x, b1, b2):
    """Evaluate ``b1*b2*x / (1 + b2*x)`` (Misra, NIST, 1978).

    Examples
    --------
    >>> misra1d(1.0, 4.0, 1.0)
    2.0
    """
    return b1 * b2 * x * (1 + b2 * x) ** -1


def chwirut(x, b1, b2, b3):
    """Evaluate ``exp(-b1*x) / (b2 + b3*x)``, ultrasonic calibration (Chwirut, NIST, 197?).

    Examples
    --------
    >>> float(chwirut(0.0, 1.0, 0.5, 3.0))
    2.0
    """
    return np.exp(-b1 * x) / (b2 + b3 * x)


def danwood(x, b1, b2):
    """Evaluate ``b1 * x**b2``, energy radiated from a lamp's filament (Daniel and Wood, 1980).

    Examples
    --------
    >>> danwood(2.0, 0.5, 3.0)
    4.0
    """
    return b1 * x**b2


def lanczos(x, b1, b2, b3, b4, b5, b6):
    """Evaluate ``b1*exp(-b2*x) + b3*exp(-b4*x) + b5*exp(-b6*x)`` (Lanczos, 1956, pp. 272-280).

    Examples
    --------
    >>> float(lanczos(0.0, 1.0, 9.0, 2.0, 9.0, 3.0, 9.0))
    6.0
    """
    return b1 * np.exp(-b2 * x) + b3 * np.exp(-b4 * x) + b5 * np.exp(-b6 * x)


def gauss(x, b1, b2, b3, b4, b5, b6, b7, b8):
    """Evaluate two Gaussians on a decaying exponential baseline (Rust, NIST, 1996).

    ``b1*exp(-b2*x) + b3*exp(-(x - b4)**2 / b5**2) + b6*exp(-(x - b7)**2 / b8**2)``

    Examples
    --------
    >>> float(gauss(0.0, 1.0, 9.0, 2.0, 0.0, 1.0, 3.0, 0.0, 1.0))
    6.0
    """
    baseline = b1 * np.exp(-b2 * x)
    first = b3 * np.exp(-((x - b4) ** 2) / b5**2)
    second = b6 * np.exp(-((x - b7) ** 2) / b8**2)
    return baseline + first + second


def enso(x, b1, b2, b3, b4, b5, b6, b7, b8, b9):
    """Evaluate an annual cycle and two of periods b4 and b7 months (Kahaner and others, 1989).

    Atmospheric pressure difference between Easter Island and Darwin, the El Nino southern
    oscillation: ``b1 + b2*cos(2*pi*x/12) + b3*sin(2*pi*x/12) + b5*cos(2*pi*x/b4)
    + b6*sin(2*pi*x/b4) + b8*cos(2*pi*x/b7) + b9*sin(2*pi*x/b7)``.

    Examples
    --------
    >>> float(enso(0.0, 1.0, 2.0, 9.0, 44.0, 3.0, 9.0, 26.0, 4.0, 9.0))
    10.0
    """

    def cycle(period, cosine, sine):
        angle = 2 * np.pi * x / period
        return cosine * np.cos(angle) + sine * np.sin(angle)

    return b1 + cycle(12, b2, b3) + cycle(b4, b5, b6) + cycle(b7, b8, b9)


def kirby2(x, b1, b2, b3, b4, b5):
    """Evaluate ``(b1 + b2*x + b3*x**2) / (1 + b4*x + b5*x**2)``, line widths (Kirby, NIST, 197?).

    Examples
    --------
    >>> kirby2(1.0, 1.0, 2.0, 3.0, 1.0, 1.0)
    2.0
    """
    return (b1 + b2 * x + b3 * x**2) / (1 + b4 * x + b5 * x**2)


def cubic_rational(x, b1, b2, b3, b4, b5, b6, b7):
    """Evaluate ``(b1 + b2*x + b3*x**2 + b4*x**3) / (1 + b5*x + b6*x**2 + b7*x**3)``.

    Hahn1: thermal expansion of copper (Hahn, NIST, 197?).
    Thurber: electron mobility in semiconductors (Thurber, NIST, 197?).

    Examples
    --------
    >>> cubic_rational(1.0, 1.0, 2.0, 3.0, 2.0, 1.0, 1.0, 1.0)
    2.0
    """
    return (b1 + b2 * x + b3 * x**2 + b4 * x**3) / (1 + b5 * x + b6 * x**2 + b7 * x**3)


def nelson(x, b1, b2, b3):
    """Evaluate ``log(y) = b1 - b2*x1 * exp(-b3*x2)``, dielectric breakdown (Nelson, 1981).

    ``x`` holds two predictors: ``x[0]`` the time in weeks, ``x[1]`` the temperature in degrees
    Celsius.

    Examples
    --------
    >>> float(nelson((2.0, 0.0), 5.0, 1.0, 9.0))
    3.0
    """
    return b1 - b2 * x[0] * np.exp(-b3 * x[1])


def mgh17(x, b1, b2, b3, b4, b5):
    """Evaluate ``b1 + b2*exp(-x*b4) + b3*exp(-x*b5)`` (Osborne, 1972).

    Examples
    --------
    >>> float(mgh17(0.0, 1.0, 2.0, 3.0, 9.0, 9.0))
    6.0
    """
    return b1 + b2 * np.exp(-x * b4) + b3 * np.exp(-x * b5)


def roszman1(x, b1, b2, b3, b4):
    """Evaluate ``b1 - b2*x - arctan(b3 / (x - b4)) / pi``, quantum defects (Roszman, NIST, 19??).

    Examples
    --------
    >>> float(roszman1(1.0, 1.0, 0.5, 1.0, 0.0))
    0.25
    """
    return b1 - b2 * x - np.arctan(b3 / (x - b4)) / np.pi


def rat42(x, b1, b2, b3):
    """Evaluate ``b1 / (1 + exp(b2 - b3*x))``, pasture yield (Ratkowsky, 1983, pp. 61 and 88).

    Examples
    --------
    >>> float(rat42(1.0, 4.0, 2.0, 2.0))
    2.0
    """
    return b1 / (1 + np.exp(b2 - b3 * x))


def rat43(x, b1, b2, b3, b4):
    """Evaluate ``b1 / (1 + exp(b2 - b3*x))**(1/b4)``, onion growth (Ratkowsky, 1983, pp. 62, 88).

    Examples
    --------
    >>> float(rat43(1.0, 4.0, 2.0, 2.0, 0.5))
    1.0
    """
    return b1 / (1 + np.exp(b2 - b3 * x)) ** (1 / b4)


def mgh09(x, b1, b2, b3, b4):
    """Evaluate ``b1 * (x**2 + x*b2) / (x**2 + x*b3 + b4)`` (Kowalik and Osborne, 1978).

    Examples
    --------
    >>> mgh09(1.0, 3.0, 1.0, 1.0, 1.0)
    2.0
    """
    return b1 * (x**2 + x * b2) / (x**2 + x * b3 + b4)


def mgh10(x, b1, b2, b3):
    """Evaluate ``b1 * exp(b2 / (x + b3))`` (Meyer, 1970, pp. 465-486).

    Examples
    --------
    >>> float(mgh10(1.0, 2.0, 0.0, 1.0))
    2.0
    """
    return b1 * np.exp(b2 / (x + b3))


def eckerle4(x, b1, b2, b3):
    """Evaluate ``b1/b2 * exp(-0.5*((x - b3)/b2)**2)``, transmittance (Eckerle, NIST, 197?).

    Examples
    --------
    >>> float(eckerle4(450.0, 4.0, 2.0, 450.0))
    2.0
    """
    return (b1 / b2) * np.exp(-0.5 * ((x - b3) / b2) ** 2)


def bennett5(x, b1, b2, b3):
    """Evaluate ``b1 * (b2 + x)**(-1/b3)``, superconductivity (Bennett and others, NIST, 1994).

    Examples
    --------
    >>> bennett5(1.0, 6.0, 1.0, 1.0)
    3.0
    """
    return b1 * (b2 + x) ** (-1 / b3)
