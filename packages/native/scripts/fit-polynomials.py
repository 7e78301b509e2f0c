"""Prints the coefficients of cpp/kernels/math.h: minimax fits (Lawson's reweighted least squares on Chebyshev
nodes), rounded to single precision from the constant term on so that later terms absorb the rounding.
Needs numpy and mpmath."""
import mpmath
import numpy as np

mpmath.mp.dps = 40


def fit(name, value, weight, low, high, degree, nodes=1500):
    """value ~ polynomial of x on [low, high], |weight * error| minimal; all take a float, return an mpf or float."""
    x = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(nodes) + 0.5) / nodes)
    y = np.array([float(value(mpmath.mpf(float(v)))) for v in x], dtype=np.longdouble)
    w = np.array([float(weight(float(v))) for v in x], dtype=np.longdouble)
    rounded = []
    for first in range(degree + 1):
        powers = np.stack([x**i for i in range(first, degree + 1)], axis=1).astype(np.longdouble)
        rest = y - sum(c * x.astype(np.longdouble) ** i for i, c in enumerate(rounded))
        lawson = np.ones(nodes, dtype=np.longdouble)
        for _ in range(60):
            s = (np.sqrt(lawson) * w).astype(np.float64)
            scale = np.abs(powers).max(0).astype(np.float64)
            c = np.linalg.lstsq((powers.astype(np.float64) / scale) * s[:, None], rest.astype(np.float64) * s, rcond=None)[0] / scale
            error = np.abs(w * (rest - powers @ c))
            lawson = lawson * (error + 1e-30)
            lawson /= lawson.mean()
        rounded.append(np.longdouble(np.float32(c[0])))
    total = sum(c * x.astype(np.longdouble) ** i for i, c in enumerate(rounded))
    print(f"// {name}: error {float(np.max(np.abs(w * (total - y)))):.2g}")
    print("  ", ", ".join(f"{np.float32(c)!r}".replace("np.float32(", "").replace(")", "") + "f" for c in rounded))


half = float(mpmath.log(2) / 2) * 1.01
fit("exp(r) = 1 + r + r^2 P(r)", lambda r: (mpmath.expm1(r) - r) / r**2 if r != 0 else mpmath.mpf(1) / 2,
    lambda r: r * r, -half, half, 4)
fit("erf(x) = x + x P(x^2), |x| < 0.93", lambda s: mpmath.erf(mpmath.sqrt(s)) / mpmath.sqrt(s) - 1,
    lambda s: 1, 1e-9, 0.93**2, 5)
fit("erf(x) = 1 - exp(x P(x)), 0.93 <= x < 4", lambda t: mpmath.log(mpmath.erfc(t)) / t,
    lambda t: t * float(mpmath.erfc(t)), 0.92, 4.0, 6)
fit("P(Z < -u) = exp(-u^2 / 2) P(t), t = 1 / (1 + 0.3 u), u < 14", 
    lambda t: mpmath.exp(((1 / t - 1) / 0.3) ** 2 / 2) * mpmath.erfc((1 / t - 1) / 0.3 / mpmath.sqrt(2)) / 2,
    lambda t: 1 / float(mpmath.exp(((1 / t - 1) / 0.3) ** 2 / 2) * mpmath.erfc((1 / t - 1) / 0.3 / mpmath.sqrt(2)) / 2), 1 / (1 + 0.3 * 14), 1.0, 9)
fit("tanh(x) = x + x^3 P(x^2), |x| < 0.65", lambda s: (mpmath.tanh(mpmath.sqrt(s)) / mpmath.sqrt(s) - 1) / s,
    lambda s: s, 1e-9, 0.65**2, 4)
low, high = float(mpmath.sqrt(0.5)) - 1, float(mpmath.sqrt(2)) - 1
fit("log(1 + f) = f - f^2 / 2 + f^3 P(f)",
    lambda f: (mpmath.log1p(f) - f + f * f / 2) / f**3 if abs(f) > 1e-6 else mpmath.mpf(1) / 3 - f / 4,
    lambda f: f * f, low, high, 7)
