"""A long run takes no more memory than a short one."""

import re

import pytest
from run_lmp import lmp, write_data
from systems import SYSTEMS

LONG = """\
units metal
boundary f f f
read_data atoms.data
pair_style cace
pair_coeff * * {model} O H
neighbor 0.3 bin
neigh_modify every 1 delay 0 check yes
velocity all create 300 1 loop geom
fix 1 all nve
fix 2 all momentum 1 linear 1 1 1 angular
fix 3 all spring/self 5.0
fix 4 all langevin 300 300 0.1 1
timestep 0.0001
thermo 1000
run 20000
info memory
run {steps}
info memory
"""


@pytest.mark.parametrize("model, steps", [("T0", 100000), ("T2", 30000)])
def test_no_growth(tmp_path, models, model, steps):
    write_data(tmp_path / "atoms.data", SYSTEMS["molecule"](), ["O", "H"])
    run = lmp(tmp_path, LONG.format(model=models / f"{model}.pt", steps=steps))
    assert run.returncode == 0, run.output
    before, after = map(float, re.findall(r"Maximum resident set size: ([\d.]+) Mbyte", run.output))
    assert after < before + 1.0
