"""Reference for the tests of serin-stats: the same formulas from their definitions, with numpy and scipy alone.

Writes sequences.json and intervals.json beside itself; `cargo test -p serin-stats` compares. Random sequences have
fixed seeds. Made with Python 3.11.7, numpy 2.4.6, scipy 1.17.1: `pip install numpy scipy && python3 reference.py`.
"""

import json
import pathlib

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaln, gammaln, logsumexp

HERE = pathlib.Path(__file__).parent
RATIOS = np.exp(np.linspace(np.log(1.25), np.log(400), 24))
RATE_RATIOS = np.exp(np.linspace(np.log(1.5), np.log(400), 16))


def odds_factors(omega0, stratum):
    """ln of each alternative's likelihood ratio for one (tick, stratum)."""
    n_c, k_c, n_p, k_p = stratum
    if n_c + n_p == 0:
        return np.zeros(24)
    g, rho, e = omega0 * RATIOS, n_c / (n_c + n_p), k_c + k_p
    return k_c * np.log(g / omega0) - e * np.log((1 - rho + rho * g) / (1 - rho + rho * omega0))


def rate_factors(limit, stratum):
    n, k = stratum[:2]
    odds = limit / (1 - limit) * RATE_RATIOS
    q = odds / (1 + odds)
    return k * np.log(q / limit) + (n - k) * np.log((1 - q) / (1 - limit))


def restarting(factors, ticks, every=60, horizon=1800, first=0.5):
    """ln E after each tick; `factors[t]` are the summed ln factors of tick t, one tick per second."""
    ln_w = np.full(len(factors[0]), np.log(first))
    reserve, starts, path = 1 - first, horizon // every, []
    share = (1 - first) / (starts - 1)
    for t in range(ticks):
        if t and t % every == 0 and reserve > 1e-12:
            ln_w, reserve = np.logaddexp(ln_w, np.log(share)), max(0.0, reserve - share)
        ln_w = ln_w + factors[t]
        mean = logsumexp(ln_w) - np.log(len(ln_w))
        path.append(np.logaddexp(mean, np.log(reserve)) if reserve > 1e-12 else mean)
    return np.array(path)


def capped(path, cap, block):
    """The increments of each block of the path, none above ln(cap)."""
    out, base, before = [], 0.0, 0.0
    for t, value in enumerate(path):
        gain = min(value - before, np.log(cap))
        out.append(base + gain)
        if (t + 1) % block == 0:
            base, before = base + gain, value
    return np.array(out)


def sequence(name, seed, seconds, routes, omega0, floor, cap, block, draw):
    rng = np.random.default_rng(seed)
    strata = [[draw(rng, t) for _ in range(routes)] for t in range(seconds)]
    odds = [sum(odds_factors(omega0, s) for s in tick) for tick in strata]
    rate = [sum(rate_factors(floor, s) for s in tick) for tick in strata]
    relative, absolute = restarting(odds, seconds), restarting(rate, seconds)
    both = np.minimum(relative, absolute)
    shown = sorted({t for t in range(0, seconds, max(1, seconds // 24))} | {seconds - 1})
    return {
        "name": name, "omega0": omega0, "floor": floor, "cap": cap, "blockS": block,
        "strata": [[t, *map(int, s)] for t, tick in enumerate(strata) for s in tick if s[0] + s[2] > 0],
        "expected": [{
            "second": t,
            "plainOdds": float(logsumexp(sum(odds[:t + 1])) - np.log(24)),
            "plainRate": float(logsumexp(sum(rate[:t + 1])) - np.log(16)),
            "relative": float(relative[t]), "absolute": float(absolute[t]),
            "capped": float(capped(both[:t + 1], cap, block)[-1]),
        } for t in shown],
    }


def traffic(canary_rps, primary_rps, canary_rate, primary_rate):
    def draw(rng, t):
        n_c, n_p = rng.poisson(canary_rps), rng.poisson(primary_rps)
        rate = canary_rate(t) if callable(canary_rate) else canary_rate
        return n_c, rng.binomial(n_c, rate), n_p, rng.binomial(n_p, primary_rate)
    return draw


def odds_interval(strata, alpha):
    """Inverts the two-sided grid mixture with the exact normaliser of the non-central hypergeometric law."""
    choose = lambda n, k: gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    laws = []
    for n_c, k_c, n_p, k_p in strata:
        e = k_c + k_p
        j = np.arange(max(0, e - n_p), min(e, n_c) + 1)
        laws.append((k_c, j, choose(n_c, j) + choose(n_p, e - j)))
    norm = lambda j, h, ln_theta: logsumexp(h + j * ln_theta)
    shifts = np.concatenate([np.log(RATIOS), -np.log(RATIOS)])

    def ln_e(x):
        total = np.zeros(48)
        for k, j, h in laws:
            total += [k * s + norm(j, h, x) - norm(j, h, x + s) for s in shifts]
        return logsumexp(total) - np.log(48) + np.log(alpha)

    grid = np.linspace(np.log(1e-6), np.log(1e6), 300)
    values = [ln_e(x) for x in grid]
    best = grid[int(np.argmin(values))]
    lo = np.exp(brentq(ln_e, grid[0], best)) if values[0] > 0 else 1e-6
    hi = np.exp(brentq(ln_e, best, grid[-1])) if values[-1] > 0 else 1e6
    return lo, hi


def proportion(n, k, alpha):
    def f(p):
        good = (n - k) * np.log1p(-p) if n > k else 0.0
        bad = k * np.log(p) if k else 0.0
        return betaln(k + 1, n - k + 1) - bad - good + np.log(alpha)
    lo = 0.0 if k == 0 else brentq(f, 1e-15, k / n, xtol=1e-15)
    hi = 1.0 if k == n else brentq(f, max(k / n, 1e-15), 1 - 1e-15, xtol=1e-15)
    return lo, hi


SEQUENCES = [
    sequence("healthy", 101, 600, 1, 1.5, 0.001, 54, 10, traffic(5, 95, 0.002, 0.002)),
    sequence("broken", 102, 60, 1, 1.5, 0.001, 54, 10, traffic(5, 95, 0.3, 0.001)),
    sequence("slightly worse", 103, 300, 1, 1.5, 0.001, 54, 10, traffic(5, 95, 0.02, 0.001)),
    sequence("breaks after five minutes", 104, 420, 1, 1.5, 0.001, 71, 30,
             traffic(2, 18, lambda t: 0.001 if t < 300 else 0.3, 0.001)),
    sequence("three routes", 105, 120, 3, 1.0, 0.01, 36, 10, traffic(0.5, 4, 0.1, 0.02)),
    sequence("latency edge, events common", 106, 120, 1, 1.5, 0.01, 71, 10, traffic(20, 80, 0.6, 0.4)),
    sequence("trickle past the last restart", 107, 2400, 1, 1.5, 0.001, 54, 10,
             traffic(0.05, 0.2, lambda t: 0.0 if t < 1900 else 0.2, 0.01)),
]
PROPORTIONS = [(1, 0), (1, 1), (10, 0), (98, 5), (1880, 2), (1000, 700), (50, 15), (100000, 37), (2000000, 1999990)]
ODDS = [
    [(98, 5, 1880, 2)], [(100, 3, 1900, 0)], [(100, 0, 1900, 10)], [(100, 30, 1900, 2)], [(100, 50, 1900, 950)],
    [(100, 75, 1900, 950)], [(1000, 300, 1000, 200)], [(50, 2, 450, 3), (200, 7, 300, 4), (10, 0, 90, 5)],
]
# Few units on one track, where the code's approximation of the normaliser is at its worst.
ODDS_OF_FEW = [
    [(5, 0, 591, 2)], [(14, 1, 10, 3)], [(5, 0, 87, 1), (3, 0, 52, 5)],
    [(153, 2, 266, 1), (7, 0, 621, 2), (9, 3, 220, 5)], [(6, 1, 184, 24), (7, 0, 2584, 28), (9, 0, 95, 2)],
]

if __name__ == "__main__":
    source = "written by reference.py; do not edit"
    write = lambda name, value: (HERE / name).write_text(json.dumps(value, separators=(",", ":")) + "\n")
    write("sequences.json", {"source": source, "sequences": SEQUENCES})
    interval = lambda bounds: dict(zip(("lo", "hi"), map(float, bounds)))
    write("intervals.json", {
        "source": source,
        "proportions": [{"exposed": n, "bad": k, "alpha": a, "expected": interval(proportion(n, k, a))}
                        for n, k in PROPORTIONS for a in (0.05, 0.001)],
        "odds": [{"strata": s, "alpha": 0.05, "within": within, "expected": interval(odds_interval(s, 0.05))}
                 for within, cases in ((0.02, ODDS), (0.15, ODDS_OF_FEW)) for s in cases],
    })
