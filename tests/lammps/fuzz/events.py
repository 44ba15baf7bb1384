"""What random scripts do after the first step: move atoms, boxes and types, make and delete atoms, run on.

An event is a function that returns commands; ``RUNS`` leave forces that belong to the positions,
after the others comes another ``run 0``.
"""

from __future__ import annotations

import random

from boxes import Box


def molecular_dynamics(rng: random.Random, box: Box) -> list[str]:
    ensemble = rng.choice(["nve", "nve", "nvt temp 300 300 $(100*dt)", _npt(rng, box)])
    return [
        f"velocity all create {rng.choice([10, 300, 900])} {rng.randint(1, 10**6)} loop geom",
        f"fix dynamics all {ensemble}",
        f"run {rng.choice([1, 3, 3, 8])}",
        *rng.choice(
            [[], [], ["run 2 pre no post no"], ["run 1", "run 2 every 1 'variable k equal 1'"]]
        ),
        "unfix dynamics",
    ]


def _npt(rng: random.Random, box: Box) -> str:
    if not all(box.periodic):
        return "nve/limit 0.01"
    how = rng.choice(["iso", "aniso", "tri"] if box.skewed else ["iso", "aniso"])
    return f"npt temp 300 300 $(100*dt) {how} 1 1 $(1000*dt)"


def minimization(rng: random.Random, box: Box) -> list[str]:
    style = rng.choice(["cg", "sd", "fire", "quickmin", "hftn"])
    return [f"min_style {style}", f"minimize 0 1e-8 {rng.choice([1, 4])} 12"]


def rerun(rng: random.Random, box: Box) -> list[str]:
    return [
        "write_dump all custom before.lammpstrj id type x y z modify format float %20.15g",
        "displace_atoms all random 0.05 0.05 0.05 8125",
        "rerun before.lammpstrj dump x y z",
    ]


def swaps(rng: random.Random, box: Box) -> list[str]:
    return [
        f"fix swaps all atom/swap 1 2 {rng.randint(1, 10**6)} 5000 types 1 2",
        "run 2",
        "unfix swaps",
    ]


def moving_cuts(rng: random.Random, box: Box) -> list[str]:
    """Never from tiled back to brick: LAMMPS frees memory then that it has not allocated."""
    tiled = box.roomy and rng.random() < 0.5
    return [
        *(["comm_style tiled"] if tiled else []),
        f"fix cuts all balance 1 1.0 {'rcb' if tiled else 'shift xyz 5 1.05'}",
        "fix move all nve",
        "run 3",
        "unfix cuts",
        "unfix move",
    ]


def inserted_particles(rng: random.Random, box: Box) -> list[str]:
    """Grand-canonical, which computes energies between the steps."""
    if box.atom_style == "full":  # all atoms are one molecule
        return [*shaken_atoms(rng, box), "run 0"]
    return [
        f"fix insert all gcmc 1 2 2 1 {rng.randint(1, 10**6)} 300 -1 0.1 full_energy overlap_cutoff 0.7",
        "run 2",
        "unfix insert",
    ]


def shaken_atoms(rng: random.Random, box: Box) -> list[str]:
    size = " ".join(f"{rng.choice([0, 0.05, 0.3])}" for _ in range(3))
    return [f"displace_atoms all random {size} {rng.randint(1, 10**6)}"]


def shifted_atoms(rng: random.Random, box: Box) -> list[str]:
    moves = [rng.uniform(-9, 9) if periodic else 0.0 for periodic in box.periodic]
    if box.skewed and not all(box.periodic):  # back in the box, they are beyond another side
        moves = [0.0, 0.0, 0.0]
    return ["displace_atoms all move {:.3f} {:.3f} {:.3f} units box".format(*moves)]


def strained_box(rng: random.Random, box: Box) -> list[str]:
    scales = " ".join(f"{axis} scale {rng.uniform(0.93, 1.08):.4f}" for axis in "xyz")
    return [f"change_box all {scales} remap"]


def sheared_box(rng: random.Random, box: Box) -> list[str]:
    allowed = [name for name, second in [("xy", 1), ("xz", 2), ("yz", 2)] if box.periodic[second]]
    if not allowed:
        return shaken_atoms(rng, box)
    return [f"change_box all triclinic {rng.choice(allowed)} delta {rng.uniform(-2, 2):.3f} remap"]


def other_boundary(rng: random.Random, box: Box) -> list[str]:
    return [f"change_box all boundary {' '.join(rng.choice('psm') for _ in range(3))}"]


def fewer_atoms(rng: random.Random, box: Box) -> list[str]:
    some = [
        "random fraction 0.4 yes all NULL 5712",
        "group all",
        "overlap 1.1 all all",
        f"random count {rng.randint(0, 2)} no all NULL 812",
    ]
    return [f"delete_atoms {rng.choice(some)} compress {rng.choice(['yes', 'no'])}"]


def more_atoms(rng: random.Random, box: Box) -> list[str]:
    kind = rng.randint(1, box.n_types)
    n = rng.randint(1, 4)
    return [
        f"create_atoms {kind} random {n} {rng.randint(1, 10**6)} NULL overlap 0.7 maxtry 50",
        f"reset_atoms {'id' if not box.bonds else 'image all'}",
    ]


def other_types(rng: random.Random, box: Box) -> list[str]:
    kind = rng.randint(1, box.n_types)
    return [f"set group all type/fraction {kind} 0.4 {rng.randint(1, 10**6)}"]


def larger_box(rng: random.Random, box: Box) -> list[str]:
    if box.n_atoms > 100:
        return shaken_atoms(rng, box)
    return [f"replicate {rng.choice(['2 1 1', '1 2 1', '1 1 3', '2 2 1'])}"]


def deformation(rng: random.Random, box: Box) -> list[str]:
    axis = rng.choice([a for a, periodic in zip("xyz", box.periodic) if periodic] or [None])
    if axis is None:
        return shaken_atoms(rng, box)
    return [f"fix deform all deform 1 {axis} erate 0.5 remap x", "run 4", "unfix deform"]


def a_restart(rng: random.Random, box: Box) -> list[str]:
    return ["RESTART"]


RUNS = [molecular_dynamics] * 4 + [
    minimization,
    minimization,
    moving_cuts,
    inserted_particles,
    rerun,
    swaps,
]
CHANGES = [
    shaken_atoms, shifted_atoms, strained_box, sheared_box, other_boundary, fewer_atoms, fewer_atoms,
    more_atoms, other_types, larger_box, deformation, a_restart,
]  # fmt: skip


def random_events(rng: random.Random, box: Box) -> list[str]:
    commands: list[str] = []
    if box.crowded:
        return commands
    for _ in range(rng.choices([0, 1, 2, 3], [35, 35, 20, 10])[0]):
        if rng.random() < 0.5:
            runs = [run for run in RUNS if run is not swaps or box.n_types > 1]
            commands += rng.choice(runs)(rng, box)
            if rng.random() < 0.4:
                commands.append("run 0")
        else:
            commands += [*rng.choice(CHANGES)(rng, box), "run 0"]
    return commands
