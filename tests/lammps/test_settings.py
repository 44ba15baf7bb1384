"""Keywords that change what is computed, and what restart files keep of them."""

import numpy as np
import pytest
from helpers import assert_close, random_model, settings_of
from pair_cace.cli.export import export_checkpoint
from pair_cace.io.checkpoint import save_checkpoint
from run_lmp import lmp, single_point, write_data
from systems import SYSTEMS
from tolerances import ROUNDING

from pair_cace import CACECalculator


@pytest.mark.parametrize("model", ["T2", "tensors"])
def test_an_element_between_two_trained_ones(tmp_path, models, model):
    atoms = SYSTEMS["liquid"]()
    atoms.symbols[::4] = "C"
    pair = f"pair_style cace extrapolate yes\npair_coeff * * {models / model}.pt O H C"
    found = single_point(tmp_path, atoms, pair, symbols=("O", "H", "C"))
    atoms.calc = CACECalculator(models / f"{model}.cace.pt", extrapolate=True)
    assert_close(found.energy, atoms.get_potential_energy())
    assert_close(found.forces, atoms.get_forces())
    log = (tmp_path / "log.lammps").read_text()
    assert "WARNING: Pair style cace: C of atom type 3 was never trained; its embedding" in log


def test_elements_that_were_not_trained_are_refused(tmp_path, models):
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    script = (
        "units metal\nread_data atoms.data\npair_style cace {}\npair_coeff * * {} O {}\nrun 0\n"
    )
    for keywords, element, advice in [
        ("", "C", "; 'pair_style cace extrapolate yes' interpolates it between them"),
        ("extrapolate no", "C", "; 'pair_style cace extrapolate yes' interpolates"),
        ("extrapolate yes", "Si", "got 'Si'"),
    ]:
        run = lmp(tmp_path, script.format(keywords, models / "T0.pt", element))
        assert run.returncode != 0
        assert "expected one of the elements of " in run.error and advice in run.error
        assert ("extrapolate" in run.error.split("got")[1]) == (element == "C")


RESTART = """\
units metal
read_data atoms.data
pair_style cace extrapolate yes committee first
pair_coeff * * {first} {second} O C
neighbor 0.3 bin
fix 1 all nve
timestep 0.0005
run 5
write_restart r.bin
print "PE $(pe:%.15g)"
clear
read_restart r.bin
fix 1 all nve
run 0
print "PE $(pe:%.15g)"
"""


def test_a_restart_file_restores_models_and_keywords(tmp_path):
    for seed in (0, 1):
        settings = settings_of("Bchi")
        model = random_model(settings, seed=seed)
        save_checkpoint(tmp_path / f"{seed}.cace.pt", model, settings, {})
        export_checkpoint(tmp_path / f"{seed}.cace.pt", tmp_path / f"{seed}.pt", None)
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    for ranks in (1, 2):
        run = lmp(tmp_path, RESTART.format(first="0.pt", second="1.pt"), ranks)
        assert run.returncode == 0, run.output
        before, after = energies(run)
        np.testing.assert_allclose(after, before, rtol=ROUNDING)


@pytest.mark.parametrize(
    "change, reason",
    [
        ("shell mv m.pt n.pt", "cannot open the model file m.pt"),
        ("shell mv m.pt n.pt\nshell cp damaged.pt m.pt", "m.pt is not a readable TorchScript file"),
    ],
)
def test_a_restart_file_whose_model_cannot_be_loaded(tmp_path, models, change, reason):
    (tmp_path / "m.pt").write_bytes((models / "T0.pt").read_bytes())
    (tmp_path / "damaged.pt").write_bytes((models / "T0.pt").read_bytes()[:1000])
    atoms = SYSTEMS["liquid"]()
    write_data(tmp_path / "atoms.data", atoms, ["O", "H"])
    script = RESTART.replace("extrapolate yes committee first", "").replace("O C", "O H")
    script = script.format(first="m.pt", second="").replace("clear\n", change + "\nclear\n")
    run = lmp(tmp_path, script)
    assert run.returncode != 0
    assert "the models of the restart file (m.pt) are not in use: give pair_coeff" in run.output
    assert reason in run.output
    script = script.replace("read_restart r.bin\n", "read_restart r.bin\npair_coeff * * n.pt O H\n")
    (tmp_path / "n.pt").rename(tmp_path / "m.pt")
    run = lmp(tmp_path, script)
    assert run.returncode == 0, run.output
    before, after = energies(run)
    np.testing.assert_allclose(after, before, rtol=ROUNDING)


HYBRID = """\
units metal
read_data atoms.data
pair_style hybrid/overlay cace extrapolate yes lj/cut 2.0
pair_coeff * * cace {model} O C
pair_coeff * * lj/cut 0.001 1.0
run 0
print "PE $(pe:%.15g)"
write_restart r.bin
clear
read_restart r.bin
pair_coeff * * cace {model} O C
pair_coeff * * lj/cut 0.001 1.0
run 0
print "PE $(pe:%.15g)"
"""


def test_a_restart_file_of_a_hybrid_restores_keywords(tmp_path, models):
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    run = lmp(tmp_path, HYBRID.format(model=models / "T0.pt"))
    assert run.returncode == 0, run.output
    before, after = energies(run)
    assert before == after


def energies(run):
    return [float(line.split()[1]) for line in run.output.splitlines() if line.startswith("PE")]


def test_the_log_says_where_time_went(tmp_path, models):
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    script = RESTART.replace("extrapolate yes committee first", "").replace("O C", "O H")
    run = lmp(tmp_path, script.format(first=models / "T2.pt", second=""), ranks=2)
    assert "2 MPI ranks; between layers, up to 240 values go to every ghost atom" in run.output
    (line, _) = [line for line in run.output.splitlines() if "% of its time in edges" in line]
    shares = [float(word) for word in line.split() if word.replace(".", "").isdigit()]
    assert len(shares) == 4 and abs(sum(shares) - 100.0) < 0.3 and min(shares[1:3]) > 0.0
