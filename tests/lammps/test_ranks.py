"""One rank or several: the same numbers, for every kind of messages and every way to cut the box."""

import itertools

import ase
import numpy as np
import pytest
from helpers import assert_close, predict_atoms, random_model, settings_of
from pair_cace.io.exported import export_model
from pair_cace.io.model_info import ModelInfo
from run_lmp import boundary_of, lmp, write_data
from systems import SYSTEMS
from tolerances import AFTER_STEPS

KINDS = [
    "T0", "M", "Ar", "Bchi", "Bchi-one-channel", "T2-Bchi", "T2-all", "T2-all by autograd",
    "tensors", "T2-tensors", "T2-free",
]  # fmt: skip
LAYOUTS = {"brick": "", "tiled": "comm_style tiled"}


def gas():
    """Two molecules and a lone atom, far apart: most ranks have no atoms."""
    atoms = SYSTEMS["molecule"]()
    atoms.positions += [2.0, 3.0, 4.0]
    other = SYSTEMS["molecule"]()
    other.positions += [40.0, 41.0, 3.0]
    atoms += other + ase.Atoms("O", [[20.0, 20.0, 44.0]])
    atoms.set_cell(np.eye(3) * 45.0)
    atoms.pbc = True
    return atoms


BOXES = {
    "liquid": SYSTEMS["liquid"],
    "slab": SYSTEMS["slab"],
    "crystal": lambda: ase.Atoms(
        "OHH", cell=[[4.0, 0, 0], [1.0, 4.2, 0], [-0.8, 0.7, 4.4]], pbc=True,
        scaled_positions=[[0.1, 0.2, 0.3], [0.6, 0.5, 0.4], [0.4, 0.8, 0.9]],
    ),
    "gas": gas,
}  # fmt: skip

CASE = """\
clear
units metal
boundary {boundary}
neighbor 0.2 bin
{layout}
read_data {box}.data
{balance}
pair_style cace
pair_coeff * * {kind}.pt O H
compute energy all pe/atom
compute stress all stress/atom NULL virial
compute centroid all centroid/stress/atom NULL virial
thermo_style custom step pe pxx pyy pzz pxy pxz pyz
run 0
print "RESULT $(pe:%.17g) $(pxx:%.17g) $(pyy:%.17g) $(pzz:%.17g) $(pxy:%.17g) $(pxz:%.17g) $(pyz:%.17g)"
write_dump all custom {name}.dump id fx fy fz c_energy c_stress[*] c_centroid[*] modify sort id format float %.17g
"""

PER_ATOM = [slice(1, 4), slice(4, 5), slice(5, 11), slice(11, 20)]  # forces, energy, virials


def name_of(kind, box, layout):
    return f"{file_name(kind)}_{box}_{layout}"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What every case gives, by number of ranks; one run of `lmp` for all cases of a number."""
    known = {}

    def of(ranks):
        if ranks not in known:
            known[ranks] = run_all(tmp_path_factory.mktemp(f"ranks{ranks}"), ranks)
        return known[ranks]

    return of


def settings(kind):
    plain = {"compiled": "no"} if kind.endswith(" by autograd") else {}
    return settings_of(kind.removesuffix(" by autograd"), **plain)


def export_models(folder, kinds):
    for kind in kinds:
        model = random_model(settings(kind))
        info = ModelInfo("checkpoint", 1, settings(kind), {"H": -1.5, "O": -3.0}, "float64", 0, {})
        export_model(model, info, folder / f"{file_name(kind)}.pt", "float64")


def file_name(kind):
    return kind.replace(" ", "-")


def run_all(folder, ranks):
    export_models(folder, KINDS)
    for box, make in BOXES.items():
        write_data(folder / f"{box}.data", make(), ["O", "H"])
    cases = list(itertools.product(KINDS, BOXES, LAYOUTS))
    script = "".join(
        CASE.format(
            kind=file_name(kind), box=box, layout=LAYOUTS[layout], boundary=boundary_of(BOXES[box]()),
            balance="balance 1.0 rcb" if layout == "tiled" else "",
            name=name_of(kind, box, layout),
        )
        for kind, box, layout in cases
    )  # fmt: skip
    run = lmp(folder, script, ranks)
    assert run.returncode == 0, run.output[-3000:]
    lines = [line for line in run.output.splitlines() if line.startswith("RESULT")]
    return {
        case: (
            np.array(line.split()[1:], dtype=float),
            np.loadtxt(folder / f"{name_of(*case)}.dump", skiprows=9, ndmin=2),
        )
        for case, line in zip(cases, lines, strict=True)
    }


@pytest.mark.parametrize("kind", KINDS)
def test_one_rank_agrees_with_python(results, kind):
    for box, layout in itertools.product(BOXES, LAYOUTS):
        atoms = BOXES[box]()
        expected = predict_atoms(random_model(settings(kind)), atoms)
        thermo, per_atom = results(1)[kind, box, layout]
        assert_close(thermo[0], expected.energies[0])
        assert_close(per_atom[:, 1:4], expected.forces)
        assert_close(per_atom[:, 4], expected.atom_energies)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ranks", [2, 3, 4, 8])
def test_several_ranks_agree_with_one(results, ranks, kind, box, layout):
    thermo, per_atom = results(ranks)[kind, box, layout]
    thermo_of_one, per_atom_of_one = results(1)[kind, box, layout]
    assert_close(thermo[0], thermo_of_one[0])
    assert_close(thermo[1:], thermo_of_one[1:])
    for columns in PER_ATOM:
        assert_close(per_atom[:, columns], per_atom_of_one[:, columns])


MOVING = """\
units metal
comm_style tiled
read_data liquid.data
mass * 8
pair_style cace
pair_coeff * * T2-all.pt O H
neighbor 0.3 bin
neigh_modify every 1 delay 0 check yes
velocity all create 3000 4928459 loop geom
fix 1 all nve
fix 2 all balance 5 1.0 rcb
timestep 0.0005
run 60
write_dump all custom moved.dump id fx fy fz xu yu zu modify sort id format float %.17g
"""


def test_atoms_that_change_ranks(tmp_path):
    """Molecular dynamics with fix balance, which cuts the box anew every five steps."""
    export_models(tmp_path, ["T2-all"])
    write_data(tmp_path / "liquid.data", SYSTEMS["liquid"](), ["O", "H"])
    moved = []
    for ranks in (1, 3):
        run = lmp(tmp_path, MOVING, ranks)
        assert run.returncode == 0, run.output
        moved.append(np.loadtxt(tmp_path / "moved.dump", skiprows=9))
    assert np.abs(moved[0][:, 4:] - SYSTEMS["liquid"]().positions).max() > 0.3
    np.testing.assert_allclose(moved[1], moved[0], rtol=0, atol=AFTER_STEPS)
