"""How frequent each label is taken to be: pure functions on probabilities.

A network's probabilities assume the label frequencies that it was trained for, its prior. Where
labels are more or less frequent, Bayes' rule shifts the probabilities, and the new frequencies
can be estimated from unlabelled faces.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError

__all__ = ["FER2013_PRIOR", "adjusted_prior", "estimate_prior", "parse_prior", "shift_prior"]

#: Fractions of FER2013's Training rows, in the order of ``EMOTIONS``.
FER2013_PRIOR = tuple(count / 28_709 for count in (3995, 436, 4097, 7215, 4965, 4830, 3171))

_FLOOR = 1e-6  # no prior forbids a label for good

_Floats = NDArray[np.float64]
_Prior = Sequence[float] | _Floats


def shift_prior(probabilities: _Floats, assumed: _Prior, wanted: _Prior) -> _Floats:
    """Return probabilities (N, C) that assume the prior ``wanted`` in place of ``assumed``.

    Raises:
        InputError: a prior is not ``C`` positive numbers.
    """
    columns = probabilities.shape[1]
    ratio = _checked(wanted, columns) / _checked(assumed, columns)
    shifted = probabilities * ratio
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def estimate_prior(
    probabilities: _Floats,
    assumed: _Prior,
    *,
    steps: int = 1000,
    tolerance: float = 1e-6,
) -> _Floats:
    """Estimate how frequent each label is among unlabelled faces, by expectation maximisation.

    Args:
        probabilities: float64 (N, C), calibrated under the prior ``assumed``.
        steps: of the algorithm, at most.
        tolerance: it stops when no frequency changes by more.

    Returns:
        float64 (C,), summing to 1.

    Raises:
        InputError: there is no face, or ``assumed`` is not ``C`` positive numbers.

    Source:
        Saerens, Latinne and Decaestecker, "Adjusting the Outputs of a Classifier to New a Priori
        Probabilities", Neural Computation, 2002.
    """
    if len(probabilities) == 0:
        raise InputError("expected at least one face to estimate a prior from, got none")
    prior = known = _checked(assumed, probabilities.shape[1])
    for _ in range(steps):
        found = shift_prior(probabilities, known, prior).mean(axis=0)
        found = np.maximum(found, _FLOOR)
        found /= found.sum()
        moved = float(np.abs(found - prior).max())
        prior = found
        if moved <= tolerance:
            break
    return np.asarray(prior)


def adjusted_prior(prior: _Prior, strength: float) -> _Floats:
    """Return the prior that is left after logit adjustment of a strength from 0 to 1.

    Source:
        Menon et al., "Long-Tail Learning via Logit Adjustment", ICLR 2021: 0 leaves the prior as
        it is, 1 makes it uniform.
    """
    powers = _checked(prior, len(prior)) ** (1 - strength)
    return np.asarray(powers / powers.sum())


def parse_prior(text: str, labels: Sequence[str]) -> _Floats:
    """Read a prior: ``uniform``, ``fer2013``, or one number for each label, joined by commas.

    Raises:
        InputError: it is none of these.
    """
    if text == "uniform":
        return np.full(len(labels), 1 / len(labels))
    if text == "fer2013":
        return _checked(FER2013_PRIOR, len(labels))
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers:
        raise InputError(
            f"expected a prior: uniform, fer2013, or {len(labels)} numbers joined by commas "
            f"({', '.join(labels)}), got '{text}'"
        )
    return _checked(numbers, len(labels))


def _checked(prior: _Prior, columns: int) -> _Floats:
    values = np.asarray(prior, np.float64)
    if values.shape != (columns,) or not (np.isfinite(values) & (values > 0)).all():
        raise InputError(
            f"expected a prior of {columns} numbers above 0, one for each label, got {list(prior)}"
        )
    return np.asarray(values / values.sum())
