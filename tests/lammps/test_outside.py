"""`outside warn`, `stop`, `ignore`: what is said where atoms leave what a model was trained on."""

import re

import ase
import numpy as np
import pytest
from helpers import extent_of_water, random_model, settings_of
from pair_cace.cli.export import export_checkpoint
from pair_cace.data.graph import Graph
from pair_cace.data.local_density import local_densities
from pair_cace.io.checkpoint import save_checkpoint
from run_lmp import lmp, write_data
from systems import CUTOFF, SYSTEMS

FLIGHT = """\
units metal
read_data atoms.data
{pair}
neighbor 0.3 bin
neigh_modify delay 0 every 1 check yes
timestep 0.001
group fast id 2
fix 1 fast move linear {speed} 0 0
thermo 100
run {steps}
"""


def write_model(path, kind="T0", extent=extent_of_water(), seed=0, **settings):
    settings = settings_of(kind, **settings)
    checkpoint = path.with_suffix(".cace.pt")
    save_checkpoint(checkpoint, random_model(settings, seed=seed), settings, {}, extent)
    export_checkpoint(checkpoint, path, None)


def write_flight(folder, symbols="OO"):
    """Two atoms 3 Å apart in the middle of a box, where four ranks meet, and others far away."""
    atoms = ase.Atoms(symbols, [[9.0, 10.1, 9.95], [12.0, 10.1, 9.95]], cell=[20.0] * 3, pbc=True)
    atoms += ase.Atoms("H4O", [[2, 2, 2], [2, 15, 3], [17, 3, 16], [16, 16, 15], [3, 3, 16]])
    write_data(folder / "atoms.data", atoms, ["O", "H"])


def cace(keywords="", models="m.pt"):
    return f"pair_style cace {keywords}\npair_coeff * * {models} O H"


def fly(folder, keywords="", models="m.pt", ranks=1, steps=25, speed=-100.0, more=""):
    """The second atom comes closer by 0.1 Å in every step."""
    script = FLIGHT.format(pair=cace(keywords, models), steps=steps, speed=speed)
    return lmp(folder, script + more, ranks)


def warnings_of(text):
    """What WARNING lines say of densities and distances, without the place in the source."""
    lines = re.findall(r"WARNING: Pair style cace: (.* step \d+)", text)
    return [line for line in lines if " at " in line or "density" in line]


@pytest.mark.parametrize("neighbors", ["lammps", "own"])
@pytest.mark.parametrize("ranks", [1, 4])
@pytest.mark.parametrize("kind", ["T0", "T2-all"])
def test_a_contact_is_said_once(tmp_path, neighbors, ranks, kind):
    write_model(tmp_path / "m.pt", kind)
    write_flight(tmp_path)
    run = fly(tmp_path, f"neighbors {neighbors}", ranks=ranks)
    assert run.returncode == 0, run.output
    # 2.10 Å less 2 % is passed between 2.1 and 2.0 Å.
    expected = ["O-O at 2.00 Å, closest in training 2.10 Å, step 10"]
    assert warnings_of(run.output) == expected
    log = (tmp_path / "log.lammps").read_text()
    assert warnings_of(log) == expected
    assert "O-O closer than in training 16 times (pairs and steps), most at step 25: 0.50 Å" in log


@pytest.mark.parametrize("neighbors, ranks", [("own", 1), ("lammps", 4)])
def test_a_run_stops(tmp_path, neighbors, ranks):
    write_model(tmp_path / "m.pt")
    write_flight(tmp_path)
    run = fly(tmp_path, f"neighbors {neighbors} outside stop", ranks=ranks)
    assert run.returncode != 0
    assert (
        "O-O at 2.00 Å, closest in training 2.10 Å, step 10; the model was not trained" in run.error
    )
    assert "or go on with 'pair_style cace outside warn'" in run.error
    assert "O-O at 2.00 Å" in (tmp_path / "log.lammps").read_text()
    assert run.output.count("O-O at") == 1


@pytest.mark.parametrize("neighbors", ["lammps", "own"])
def test_nothing_is_said_on_request(tmp_path, neighbors):
    write_model(tmp_path / "m.pt")
    write_flight(tmp_path)
    run = fly(tmp_path, f"neighbors {neighbors} outside ignore")
    assert run.returncode == 0, run.output
    assert warnings_of(run.output) == [] and "closer than in training" not in run.output


def test_another_run_says_it_again(tmp_path):
    write_model(tmp_path / "m.pt")
    write_flight(tmp_path)
    again = f"run 1\n{cace('outside ignore')}\nrun 1\n{cace('outside warn')}\nrun 1\n"
    run = fly(tmp_path, more=again, speed=-50.0)
    assert run.returncode == 0, run.output
    assert [line[-7:] for line in warnings_of(run.output)] == ["step 19", "step 25", "step 27"]


@pytest.mark.parametrize("neighbors, ranks", [("own", 1), ("lammps", 4)])
def test_a_pair_that_training_did_not_have(tmp_path, neighbors, ranks):
    write_model(tmp_path / "m.pt", extent=extent_of_water(closest={"H-H": 1.2, "H-O": 0.9}))
    write_flight(tmp_path)
    run = fly(tmp_path, f"neighbors {neighbors}", ranks=ranks, steps=3)
    expected = ["O-O at 3.00 Å, no such pair within 3.50 Å in training, step 0"]
    assert warnings_of(run.output) == expected


def test_pairs_of_which_nothing_is_known(tmp_path):
    known = extent_of_water(closest={"H-O": 0.9}, is_whole=False)
    write_model(tmp_path / "m.pt", extent=known)
    write_flight(tmp_path)
    assert warnings_of(fly(tmp_path).output) == []
    write_flight(tmp_path, "OH")
    assert warnings_of(fly(tmp_path).output) == [
        "H-O at 0.80 Å, closest in training 0.90 Å, step 22"
    ]


def test_a_model_that_does_not_know(tmp_path):
    write_model(tmp_path / "m.pt", extent=None)
    write_flight(tmp_path)
    run = fly(tmp_path)
    assert run.returncode == 0 and warnings_of(run.output) == []
    assert (
        "its file does not say what it was trained on: nothing will be said of atoms" in run.output
    )
    run = fly(tmp_path, "outside stop")
    assert (
        "expected a model that says what it was trained on because of 'outside stop'" in run.error
    )
    assert "but m.pt does not" in run.error


RESTART = """\
write_restart r.bin
clear
read_restart r.bin
{pair_coeff}
group fast id 2
fix 1 fast move linear -100 0 0
timestep 0.001
run 20
"""


@pytest.mark.parametrize("keywords", ["outside stop", "outside ignore", ""])
@pytest.mark.parametrize("style", ["alone", "hybrid"])
def test_restart_files_keep_the_setting(tmp_path, keywords, style):
    write_model(tmp_path / "m.pt")
    write_flight(tmp_path)
    pair, coeff = cace(keywords), ""
    if style == "hybrid":
        coeff = "pair_coeff * * cace m.pt O H\npair_coeff * * zero\n"
        pair = f"pair_style hybrid/overlay cace {keywords} zero 2.0\n{coeff}"
    script = FLIGHT.format(pair=pair, steps=2, speed=-100) + RESTART.format(pair_coeff=coeff)
    run = lmp(tmp_path, script)
    assert (run.returncode == 0) == (keywords != "outside stop")
    if keywords == "outside stop":
        assert "O-O at 2.00 Å, closest in training 2.10 Å, step 10; the model" in run.error
    else:
        assert len(warnings_of(run.output)) == (keywords == "")


def test_a_restart_file_from_before(tmp_path):
    """The word of this setting is not in it."""
    write_model(tmp_path / "m.pt")
    write_flight(tmp_path)
    script = FLIGHT.format(pair=cace("outside ignore"), steps=2, speed=-100)
    assert lmp(tmp_path, script + "write_restart r.bin\n").returncode == 0
    content = (tmp_path / "r.bin").read_bytes()
    word = b"\x07\x00\x00\x00outside\x06\x00\x00\x00ignore"
    count = b"\x0a\x00\x00\x00\x06\x00\x00\x00device"  # ten words, of which this is the first
    assert content.count(word) == 1 and content.count(count) == 1
    content = content.replace(word, b"").replace(count, b"\x08" + count[1:])
    (tmp_path / "r.bin").write_bytes(content)
    script = RESTART.format(pair_coeff="").replace("write_restart r.bin\nclear\n", "")
    run = lmp(tmp_path, script)
    assert run.returncode == 0, run.output
    assert len(warnings_of(run.output)) == 1


@pytest.mark.parametrize("ranks", [1, 4])
def test_a_committee_knows_what_all_of_its_models_know(tmp_path, ranks):
    for k, closest in enumerate((1.5, 2.1, None)):
        known = closest and extent_of_water(closest={"H-H": 1.2, "H-O": 0.9, "O-O": closest})
        write_model(tmp_path / f"{k}.pt", extent=known, seed=k, cutoff=CUTOFF - 0.1 * k)
    write_flight(tmp_path)
    for keywords, expected in [
        ("", "O-O at 2.00 Å, closest in training 2.10 Å, step 10"),
        ("committee first", "O-O at 1.40 Å, closest in training 1.50 Å, step 16"),
        ("committee first neighbors own", "O-O at 1.40 Å, closest in training 1.50 Å, step 16"),
    ]:
        run = fly(tmp_path, keywords, "0.pt 1.pt 2.pt", ranks=ranks)
        assert warnings_of(run.output) == [expected]


def test_atoms_of_other_styles_are_not_looked_at(tmp_path):
    write_model(tmp_path / "m.pt")
    write_flight(tmp_path)
    script = FLIGHT.format(
        pair="pair_style hybrid/overlay cace zero 3.0\npair_coeff * * cace m.pt NULL H\n"
        "pair_coeff * * zero", steps=25, speed=-100,
    )  # fmt: skip
    run = lmp(tmp_path, script)
    assert run.returncode == 0 and warnings_of(run.output) == []


def test_an_error_says_what_was_seen_before(tmp_path):
    """On several ranks, between two steps in which they talk to each other."""
    write_model(tmp_path / "m.pt")
    write_flight(tmp_path)
    script = FLIGHT.format(pair=cace(), steps=17, speed=-200).replace(
        "check yes", "check no every 100 delay 100"
    )
    run = lmp(tmp_path, script.replace("neighbor 0.3", "neighbor 4.0"), ranks=4)
    assert run.returncode != 0
    assert "two atoms are at the same place" in run.error
    assert warnings_of(run.output) == ["O-O at 2.00 Å, closest in training 2.10 Å, step 5"]


def ranges_around(atoms):
    """Densities around the atoms of O and H, and what the extent of this structure has of them."""
    found = local_densities(Graph.of(atoms, CUTOFF), CUTOFF).numpy()
    of = {symbol: found[atoms.symbols == symbol] for symbol in ("H", "O")}
    return of, dict(
        densities={symbol: [(x.min(), x.max())] for symbol, x in of.items()},
        mean_densities={symbol: [(x.mean(), x.mean())] for symbol, x in of.items()},
    )


@pytest.mark.parametrize("neighbors", ["lammps", "own"])
@pytest.mark.parametrize("ranks", [1, 4])
def test_densities_that_training_did_not_have(tmp_path, neighbors, ranks):
    atoms = SYSTEMS["liquid"]()
    _, known = ranges_around(atoms)
    near = {"H-H": 0.5, "H-O": 0.5, "O-O": 0.5}
    write_model(tmp_path / "m.pt", extent=extent_of_water(closest=near, **known))
    write_data(tmp_path / "atoms.data", atoms, ["O", "H"])
    script = f"""\
units metal
read_data atoms.data
{cace(f"neighbors {neighbors}")}
run 0
change_box all x scale 1.2 y scale 1.2 z scale 1.2 remap
run 0
"""
    run = lmp(tmp_path, script, ranks)
    assert run.returncode == 0, run.output
    atoms.set_cell(1.2 * atoms.cell, scale_atoms=True)
    wide, _ = ranges_around(atoms)
    expected = set()
    for symbol, densities in wide.items():
        ((low, high),), ((mean, _),) = known["densities"][symbol], known["mean_densities"][symbol]
        assert densities.min() < low / 1.1
        expected |= {
            f"density around {symbol} {densities.min():.4f} atoms/Å³, in training {low:.4f} to "
            f"{high:.4f}, step 0",
            f"mean density around {symbol} {densities.mean():.4f} atoms/Å³, in training {mean:.4f}, "
            "step 0",
        }
    assert set(warnings_of(run.output)) == expected and len(warnings_of(run.output)) == 4
    run = lmp(tmp_path, script.replace("pair_style cace", "pair_style cace outside stop"), ranks)
    assert run.returncode != 0 and "mean density around H" in run.error


def test_forces_do_not_depend_on_it(tmp_path):
    write_model(tmp_path / "m.pt", "T2-all")
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    dumps = []
    for keywords in ("outside warn", "outside ignore"):
        run = lmp(tmp_path, f"""\
units metal
read_data atoms.data
{cace(keywords)}
fix 1 all nve
timestep 0.0002
run 5
write_dump all custom f.dump id fx fy fz modify sort id format float %.17g
""")  # fmt: skip
        assert run.returncode == 0, run.output
        dumps.append(np.loadtxt(tmp_path / "f.dump", skiprows=9))
    assert np.array_equal(*dumps)


def test_other_words_are_refused(tmp_path):
    write_flight(tmp_path)
    run = fly(tmp_path, "outside quiet")
    assert "expected stop, warn or ignore after 'outside', got 'quiet'" in run.error
