"""Commands of LAMMPS that change what a pair style sees, each against the model in Python."""

from dataclasses import replace

import numpy as np
import pytest
from final_state import FINISH, MOVE, START, cace, check, model_of, read_dump, run_to_the_end
from helpers import assert_close, predict_atoms
from pair_cace.data.graph import Graph
from pair_cace.nn.derivatives import predict
from run_lmp import python, single_point, write_data
from systems import CUTOFF, SYSTEMS

# ---- neighbors -----------------------------------------------------------------------------------


def few(atom):
    return atom < 11


# What is asked of LAMMPS, and the edges that it leaves, by sender, receiver and their elements.
SELECTIONS = {
    "exclude type 1 1": lambda j, i, of_j, of_i: (of_j != 8) | (of_i != 8),
    "exclude group few few": lambda j, i, of_j, of_i: ~(few(j) & few(i)),
    "include few": lambda j, i, of_j, of_i: few(j) & few(i),
}


@pytest.mark.parametrize("model, ranks", [("T0", 1), ("T2", 2)])
@pytest.mark.parametrize("selection", SELECTIONS)
def test_neighbors_that_lammps_leaves_out(tmp_path, models, selection, model, ranks):
    commands = f"""
group few id 1:11
atom_modify first few
neigh_modify {selection}
run 0
"""
    atoms = SYSTEMS["liquid"]()
    found = run_to_the_end(tmp_path, atoms, cace(models, model), commands, ranks=ranks)
    graph = Graph.of(atoms, CUTOFF)
    j, i = graph.senders, graph.receivers
    kept = SELECTIONS[selection](j, i, graph.species[j], graph.species[i])
    fewer = replace(graph, vectors=graph.vectors[kept], senders=j[kept], receivers=i[kept])
    expected = predict(model_of(model), fewer)
    assert_close(found.energy, expected.energies[0])
    # What LAMMPS does not include it leaves alone: forces of others are whatever memory held.
    compared = few(np.arange(len(atoms))) if "include" in selection else slice(None)
    assert_close(found.forces[compared], expected.forces[compared])
    whole = predict(model_of(model), graph)
    assert abs(expected.energies[0] - whole.energies[0]) > 1e-3


@pytest.mark.parametrize("keywords", ["", " neighbors own"])
@pytest.mark.parametrize("model, ranks", [("T0", 1), ("T2", 1), ("T2", 2)])
def test_atoms_hidden_from_all_are_not_there(tmp_path, models, model, ranks, keywords):
    """As `fix gcmc` hides an atom, to learn what is without it: what it alone would have must go, too."""
    commands = "group few id 1:11\nneigh_modify exclude group few all\nrun 0\n"
    atoms = SYSTEMS["liquid"]()
    pair = cace(models, model).replace("pair_style cace", "pair_style cace" + keywords)
    found = run_to_the_end(tmp_path, atoms, pair, commands, ranks=ranks)
    others = ~few(np.arange(len(atoms)))
    expected = predict_atoms(model_of(model), atoms[others])
    assert_close(found.energy, expected.energies[0])
    assert_close(found.forces[others], expected.forces)
    assert not found.forces[~others].any()


# ---- domains -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first, commands",
    [
        ("comm_modify cutoff 9.0", "run 5"),
        ("processors 1 * 1", "run 5"),
        ("", "fix 2 all balance 3 1.0 shift xyz 10 1.0\nrun 10"),
        ("", "neighbor 0.3 multi\ncomm_modify mode multi\nrun 5"),
        ("", "neighbor 0.3 nsq\nrun 5"),
    ],
    ids=["wider halo", "slabs", "fix balance", "multi", "nsq"],
)
def test_how_the_box_is_shared_out(tmp_path, models, first, commands):
    atoms = SYSTEMS["triclinic" if "balance" not in commands else "liquid"]()
    found = run_to_the_end(
        tmp_path, atoms, cace(models, "T2"), MOVE + commands, ranks=3, first=first
    )
    check(found, "T2")


# ---- other potentials ----------------------------------------------------------------------------


@pytest.mark.parametrize("model, ranks", [("T0", 1), ("T2", 2)])
def test_hybrid_with_argon(tmp_path, models, model, ranks):
    """`hybrid`, where every pair has one potential: ours for types 1 and 2, theirs for all of type 3."""
    atoms = SYSTEMS["liquid"]()
    argon = atoms.copy()
    argon.symbols[::3] = "Ar"
    ours = np.flatnonzero(argon.numbers != 18)
    pair = (
        "pair_style hybrid cace lj/cut 5.0\n"
        f"pair_coeff * * cace {models / model}.pt O H NULL\npair_coeff * 3 lj/cut 0.01 1.5"
    )
    found = run_to_the_end(tmp_path, argon, pair, "run 0", ("O", "H", "Ar"), ranks)
    lj = "pair_style lj/cut 5.0\npair_coeff * * 0 1\npair_coeff * 3 0.01 1.5"
    expected = single_point(tmp_path, argon, lj, ("O", "H", "Ar"))
    assert abs(expected.energy) > 0.1
    prediction = predict_atoms(model_of(model), atoms[ours])
    expected.forces[ours] += prediction.forces.numpy()
    assert_close(found.energy, expected.energy + prediction.energies[0])
    assert_close(found.forces, expected.forces)


@pytest.mark.parametrize("styles", ["cace cace zbl 1.0 2.0", "zbl 1.0 2.0 cace cace"])
def test_two_models_and_repulsion_on_two_ranks(tmp_path, models, styles):
    """Messages of one width, none at all and a style without messages share the buffers of LAMMPS."""
    atoms = SYSTEMS["liquid"]()
    zbl = "pair_coeff 1 1 zbl 8 8\npair_coeff 1 2 zbl 8 1\npair_coeff 2 2 zbl 1 1"
    alone = single_point(tmp_path, atoms, "pair_style zbl 1.0 2.0\n" + zbl.replace(" zbl", ""))
    pair = (
        f"pair_style hybrid/overlay {styles}\npair_coeff * * cace 1 {models / 'T0.pt'} O H\n"
        f"pair_coeff * * cace 2 {models / 'T2.pt'} O H\n{zbl}"
    )
    found = run_to_the_end(tmp_path, atoms, pair, "run 0", ranks=2)
    both = [predict_atoms(model_of(name), atoms) for name in ("T0", "T2")]
    assert_close(found.energy, both[0].energies[0] + both[1].energies[0] + alone.energy)
    assert_close(found.forces, (both[0].forces + both[1].forces).numpy() + alone.forces)


# ---- threads, several instances ------------------------------------------------------------------


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("model", ["T0", "T2"])
def test_two_threads_of_every_rank(tmp_path, models, monkeypatch, model, ranks):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    # Threads wait until there is work for them: 70 000 edges for the last one.
    atoms = SYSTEMS["liquid"]().repeat(5)
    atoms.set_cell(0.6 * atoms.cell.array, scale_atoms=True)
    atoms.rattle(0.02, seed=1)
    found = run_to_the_end(tmp_path, atoms, cace(models, model), "run 0", ranks=ranks)
    assert "on cpu, 2 threads per MPI rank" in found.run.output
    check(found, model)


TURNS = """\
first, second = lammps(cmdargs=silent), lammps(cmdargs=silent)
for instance, commands in [(first, FIRST), (second, SECOND), (first, GO_ON), (second, GO_ON)]:
    instance.commands_string(commands)
first.close()
third = lammps(cmdargs=silent)
third.commands_string(FIRST)
for name, instance in [("T2", second), ("T0", third)]:
    instance.commands_string(GO_ON + FINISH.replace("{name}", name + ".dump"))
    print(name, repr(instance.get_thermo("pe")))
"""


def test_instances_that_take_turns(tmp_path, models):
    """Of LAMMPS in one Python process, each with a model of its own."""
    atoms = SYSTEMS["liquid"]()
    write_data(tmp_path / "atoms.data", atoms, ["O", "H"])
    first, second = [
        START.format(boundary="p p p", first="", pair=cace(models, name)) + MOVE
        for name in ("T0", "T2")
    ]
    texts = {"FIRST": first, "SECOND": second, "GO_ON": "run 3", "FINISH": FINISH}
    run = python(tmp_path, "".join(f"{k} = {v!r}\n" for k, v in texts.items()) + TURNS)
    assert run.returncode == 0, run.output
    for name, line in zip(["T2", "T0"], run.output.splitlines(), strict=True):
        energy = line.removeprefix(f"{name} ")
        moved, forces = read_dump(tmp_path / f"{name}.dump", ["O", "H"])
        assert np.abs(moved.positions - atoms.positions).max() > 0.01
        expected = predict_atoms(model_of(name), moved)
        assert_close(float(energy), expected.energies[0])
        assert_close(forces, expected.forces)
