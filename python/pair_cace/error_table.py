"""Errors of several sets of frames side by side, and their share of the spread of the labels."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .evaluation import Evaluation
from .files import or_null
from .spread import share_of_spread, spreads_of


@dataclass(frozen=True)
class Error:
    """Of one quantity on one set of frames, in the unit of its row."""

    rmse: float
    mae: float
    share: float  # RMSE over the spread of the labels; NaN if they have none
    n_values: int

    @property
    def text(self) -> str:
        """ "12.3 (4.5 %)"."""
        share = f" ({percent(self.share)})" if math.isfinite(self.share) else ""
        return digits(self.rmse) + share


@dataclass(frozen=True)
class ErrorRow:
    """One quantity in one unit on all sets of frames that have labels of it."""

    quantity: str
    unit: str
    factor: float  # from eV and Å
    errors: dict[str, Error]  # by the name of the set


def error_rows(found: Mapping[str, Evaluation], E0: Mapping[str, float]) -> list[ErrorRow]:
    """As ``Evaluation.rows``, of every set of ``found``; E0 in eV by element."""
    rows: dict[tuple[str, str], ErrorRow] = {}
    for name, evaluation in found.items():
        spreads = spreads_of(evaluation, E0)
        for quantity, unit, factor, pairs in evaluation.rows():
            row = rows.setdefault((quantity, unit), ErrorRow(quantity, unit, factor, {}))
            share = share_of_spread(quantity, pairs, spreads)
            rmse, mae = factor * pairs.rmse, factor * pairs.mae
            row.errors[name] = Error(rmse, mae, share, pairs.reference.size)
    order = [quantity.name for one in found.values() for quantity in one.quantities]
    return sorted(rows.values(), key=lambda row: order.index(_kind(row.quantity)))


def errors_as_json(rows: list[ErrorRow], name: str) -> dict[str, dict[str, Any]]:
    """The errors of the set ``name`` in eV and Å, and of stresses in GPa, too; null for NaN."""
    content = {}
    for row in rows:
        if name in row.errors:
            error = row.errors[name]
            in_GPa = row.unit == "GPa"
            factor = 1.0 if in_GPa else 1.0 / row.factor
            content[f"{row.quantity} in GPa" if in_GPa else row.quantity] = {
                "rmse": or_null(factor * error.rmse),
                "mae": or_null(factor * error.mae),
                "share_of_spread": or_null(error.share),
                "values": error.n_values,
            }
    return content


def digits(value: float) -> str:
    """Three significant digits, but at most three behind the point: "0.012", "12.3", "1230"."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    rounded = float(f"{value:.3g}")
    behind = 2 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:.{min(max(behind, 0), 3)}f}"


def percent(share: float) -> str:
    """A share for people: "4.5 %"; "12 %" from ten on."""
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"


def _kind(quantity: str) -> str:
    return re.split(r", shifted$| on ", quantity)[0]
