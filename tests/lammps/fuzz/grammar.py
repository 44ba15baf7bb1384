"""From a seed to a LAMMPS script: random box, potential, settings and events; now and then a mistake."""

from __future__ import annotations

import pathlib
import random
from dataclasses import dataclass

from boxes import data_file, random_box
from events import random_events
from mistakes import Parts, make_a_mistake
from models import Model
from potentials import Term, random_potential

RESULTS = """\
print "RESULT {name} $(step) $(pe:%.17g) $(vol:%.17g) &
$(c_virial[1]:%.17g) $(c_virial[2]:%.17g) $(c_virial[3]:%.17g) &
$(c_virial[6]:%.17g) $(c_virial[5]:%.17g) $(c_virial[4]:%.17g) &
$(c_sum[1]:%.17g) $(c_sum[2]:%.17g) $(c_sum[3]:%.17g) $(c_sum[6]:%.17g) $(c_sum[5]:%.17g) $(c_sum[4]:%.17g) &
$(xlo:%.17g) $(ylo:%.17g) $(zlo:%.17g) $(xhi:%.17g) $(yhi:%.17g) $(zhi:%.17g) &
$(xy:%.17g) $(xz:%.17g) $(yz:%.17g)"
write_dump all custom {name}.dump id type x y z fx fy fz c_energy modify sort id format float %.17g
"""

OUTPUT = """\
compute energy all pe/atom
compute virial all pressure NULL virial
compute stress all stress/atom NULL virial
compute sum all reduce sum c_stress[1] c_stress[2] c_stress[3] c_stress[4] c_stress[5] c_stress[6] c_energy
thermo_style custom step pe c_virial[*] c_sum[*]
"""


@dataclass
class Script:
    """An input, and what must come out."""

    seed: int
    text: str
    data: str
    ranks: int
    units: str
    terms: list[Term]
    has_partner: bool
    flat: bool  # dimension 2
    expected_error: str | None  # a regular expression

    def write(self, folder: pathlib.Path) -> None:
        (folder / "in.lmp").write_text(self.text)
        (folder / "atoms.data").write_text(self.data)


def random_script(seed: int, models: dict[str, Model]) -> Script:
    rng = random.Random(seed)
    box = random_box(rng)
    ranks = rng.choices([1, 2, 3, 4], [80, 10, 5, 5])[0]
    flat = rng.random() < 0.03 and not box.skewed
    parts = Parts(
        units=rng.choice(["metal", "metal", "real"]),
        before_box=_before_box(rng, box, ranks),
        after_box=_after_box(rng, box, flat),
        box=box,
        potential=random_potential(rng, models, box.n_types),
        events=random_events(rng, box),
        ranks=ranks,
    )
    if flat:
        _flatten(parts)
    expected_error = make_a_mistake(rng, parts, models) if rng.random() < 0.2 else None
    return Script(
        seed, _text(rng, parts), data_file(box), ranks, parts.units, parts.potential.terms,
        bool(parts.potential.partner), flat, expected_error,
    )  # fmt: skip


def _before_box(rng: random.Random, box, ranks: int) -> list[str]:
    commands = [f"atom_style {box.atom_style}", f"boundary {' '.join(box.boundary)}"]
    grids = ["* * *", f"{ranks} 1 1", f"1 * {ranks}", "* 1 *", "1 1 1" if ranks == 1 else "* * *"]
    if rng.random() < 0.3:
        commands.append(f"processors {rng.choice(grids)}")
    if rng.random() < 0.2:
        commands.append(f"newton on {rng.choice(['on', 'off'])}")
    if box.atom_style != "full" and rng.random() < 0.4:
        maps = ["map array", "map hash", "map yes", "sort 0 0.0", "sort 1 2.0"]
        commands.append(f"atom_modify {rng.choice(maps)}")
    if rng.random() < 0.05:
        commands += ["package omp 2", "suffix omp"]
    if box.bonds:
        commands.append("bond_style zero")
    return commands


def _after_box(rng: random.Random, box, flat: bool) -> list[str]:
    commands = []
    if box.bonds:
        factor = rng.choice(["1.0 1.0 1.0", "0.5 0.5 1.0"])
        commands += ["bond_coeff * 1.0", f"special_bonds lj/coul {factor}"]
    bins = rng.choice(["bin", "bin", "nsq", "multi" if box.volume < 1e6 else "bin"])
    if bins != "bin" or rng.random() < 0.7:
        skin = rng.choice([0.0, 0.01, rng.uniform(0.1, 1.0), rng.uniform(1.0, 2.5)])
        commands.append(f"neighbor {skin:.3f} {bins}")
    tiled = rng.random() < (0.4 if box.roomy else 0.03)
    if tiled:
        commands.append("comm_style tiled")
    if rng.random() < 0.35 and not flat:
        cuts = ["rcb"] if tiled else ["shift xyz 5 1.1", "x uniform y uniform", "shift z 3 1.0"]
        commands.append(f"balance 1.0 {rng.choice(cuts)}")
    if rng.random() < 0.3:
        modes = ["mode single"] + ["mode multi"] * (bins == "multi")
        how = rng.choice([f"cutoff {rng.uniform(0.5, 12):.2f}", "vel yes", *modes])
        commands.append(f"comm_modify {how}")
    if rng.random() < 0.5:
        commands.append(
            f"neigh_modify every {rng.choice([1, 2])} delay {rng.choice([0, 4])} check {rng.choice(['yes', 'no'])}"
        )
    return commands


def _flatten(parts: Parts) -> None:
    box = parts.box
    parts.before_box.insert(0, "dimension 2")
    box.boundary[2] = "p"
    parts.before_box = [
        f"boundary {' '.join(box.boundary)}" if line.startswith("boundary") else line
        for line in parts.before_box
    ]
    box.low[2] = -0.5 * box.cell[2, 2]
    box.positions[:, 2] = 0.0
    parts.events.clear()


def _text(rng: random.Random, parts: Parts) -> str:
    output = OUTPUT + f"thermo {rng.choice([0, 1, 2])}\n"
    lines = [
        f"units {parts.units}",
        *parts.before_box,
        "read_data atoms.data",
        *parts.after_box,
        *parts.potential.commands,
        f"timestep {0.0005 if parts.units == 'metal' else 0.5}",
        output,
        *(["run 0"] if not parts.events or rng.random() < 0.6 else []),
    ]
    for event in parts.events:
        if event == "RESTART":
            lines += _restart(parts, output)
        else:
            lines.append(event)
    if not any(event.startswith(("run", "mini", "rerun")) for event in parts.events):
        lines.append("run 0")
    lines.append(RESULTS.format(name="all"))
    if parts.potential.partner:
        lines += [*parts.potential.partner, "run 0", RESULTS.format(name="partner")]
    return "\n".join(lines)


def _restart(parts: Parts, output: str) -> list[str]:
    """Write and read a restart file; `clear` forgets all settings."""
    keep = ("processors", "newton", "suffix", "package", "dimension", "atom_modify")
    return [
        "run 0",
        "write_restart now.restart",
        "clear",
        *(line for line in parts.before_box if line.startswith(keep)),
        "read_restart now.restart",
        *parts.potential.commands,
        *parts.after_box,
        output,
    ]
