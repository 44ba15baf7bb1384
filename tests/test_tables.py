"""Index tables and sizes, against numbers that were counted elsewhere."""

import math

import pytest
from helpers import settings_of
from pair_cace.nn import CACE, Hyperparameters
from pair_cace.nn.angular import multinomial, triples, triples_up_to
from pair_cace.nn.invariants import invariants_of_order, number_of_invariants
from tolerances import ROUNDING


def test_order_of_the_angular_index():
    names = ["".join(map(str, triple)) for triple in triples_up_to(3)]
    assert names == (
        "000 100 010 001 200 110 101 020 011 002 300 210 201 120 111 102 030 021 012 003".split()
    )


@pytest.mark.parametrize("l_max", range(8))
def test_number_of_monomials(l_max):
    assert len(triples_up_to(l_max)) == (l_max + 1) * (l_max + 2) * (l_max + 3) // 6


@pytest.mark.parametrize("l", range(6))
def test_multinomials_sum_to_a_power_of_three(l):
    assert sum(multinomial(triple) for triple in triples(l)) == 3**l


# N_B for l_max = 1 … 7 and nu_max = 1 … 4, counted by hand from the ranges of l1, l2, d.
N_B = {
    1: (1, 2, 2, 2),
    2: (1, 3, 4, 4),
    3: (1, 4, 6, 7),
    4: (1, 5, 9, 13),
    5: (1, 6, 12, 22),
    6: (1, 7, 16, 36),
    7: (1, 8, 20, 55),
}


@pytest.mark.parametrize("l_max", N_B)
@pytest.mark.parametrize("nu_max", [1, 2, 3, 4])
def test_number_of_invariants(l_max, nu_max):
    assert number_of_invariants(l_max, nu_max) == N_B[l_max][nu_max - 1]


@pytest.mark.parametrize("nu", [2, 3, 4])
def test_every_term_has_nu_factors_and_merging_keeps_the_weight(nu):
    l_max = 5
    for terms in invariants_of_order(nu, l_max):
        assert all(len(factors) == nu for factors in terms)
        # With every A equal to one, the multinomials sum to 3 to the power of all degrees.
        exponent = math.log(sum(terms.values()), 3)
        assert exponent == pytest.approx(round(exponent), abs=ROUNDING)


def test_nu_out_of_range_is_refused():
    with pytest.raises(ValueError, match="nu = 1 … 4, got 5"):
        invariants_of_order(5, 3)


WATER = dict(elements=("H", "O"), cutoff=5.5, n_layers=1)
BPA3 = dict(
    elements=("H", "C", "N", "O"), cutoff=6.0, cutoff_exponent=2, n_rbf=8, n_atom_basis=4, l_max=4,
    n_layers=1, messages=("M", "Ar", "Bchi"), avg_num_neighbors=10,
)  # fmt: skip


@pytest.mark.parametrize(
    "settings, count", [(WATER, 69_320), (WATER | {"n_layers": 0}, 24_572), (BPA3, 263_546)]
)
def test_parameter_counts_of_the_published_models(settings, count):
    model = CACE(Hyperparameters(**settings))
    assert sum(parameter.numel() for parameter in model.parameters()) == count


@pytest.mark.parametrize(
    "change, message",
    [
        ({"elements": ("H", "Xx")}, "'Xx' is not a chemical symbol"),
        ({"elements": ("H", "H")}, "listed twice: H H"),
        ({"cutoff": -1.0}, "greater than 0"),
        ({"nu_max": 5}, "less than or equal to 4"),
        ({"n_layers": 1, "messages": ()}, "at least one of the messages"),
        ({"messages": ("Bchi", "Bchi")}, "listed twice: Bchi Bchi"),
        ({"zbl_cutoff": 9.0}, "zbl_cutoff must not exceed the cutoff, got 9.0 and 3.5"),
        ({"readout_hidden": (8, 0)}, "at least one unit"),
        ({"l_mx": 3}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_make_no_sense(change, message):
    with pytest.raises(ValueError, match=message):
        settings_of("T0", **change)


def test_elements_are_sorted_by_atomic_number():
    assert settings_of("T0", elements=("O", "H")).elements == ("H", "O")
