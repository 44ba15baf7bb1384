"""How closely numbers must agree, and why no closer: the tests take their bounds from this table.

A bound that belongs to what a test states (a loss that halves, a minimizer that gets down to a force, the error of an
approximation) is no tolerance, and stays in the test. Relative means to the largest of the values compared.
"""

# Relative, or of numbers near one: the same in another order of operations, a few roundings of 10⁻¹⁶ in float64.
ROUNDING = 1e-12

# Relative: the same in float32, a few roundings of 10⁻⁷.
FLOAT32_ROUNDING = 1e-6

# Relative, plus as much in eV, eV/Å, ...: a whole model by two routes (plain torch, kernels, TorchScript, ASE, LAMMPS,
# ranks, a GPU) in float64. Sums over all neighbors cancel in part, and layers amplify what is left.
SAME_MODEL = 1e-10

# Relative, plus as much in eV, eV/Å, ...: the same in float32, or float32 against float64, up to second derivatives.
FLOAT32_MODEL = 1e-4

# Relative, to one at least: a whole model in float32 on a GPU and a CPU, without second derivatives.
FLOAT32_GPU = 1e-5

# Relative: one operation in float32 against float64, with its second derivatives.
FLOAT32_OPERATION = 5e-5

# eV, eV/Å, eV/Å³: a published model in float64 against what the original code computed with it.
ORIGINAL_CODE = 1e-8

# eV/Å, and eV per atom: a published model in float32 against the same numbers, of forces up to 50 eV/Å.
FLOAT32_FORCE = 2e-4
FLOAT32_ENERGY = 1e-5

# Relative: derivatives against differences over ±10⁻⁴ Å, which err by the square of that, and by rounding over it.
DIFFERENCES = 5e-7

# Relative: one side has constants of seven or eight digits: sqrt(2/r_c) in published models, units in LAMMPS.
CONSTANTS = 1e-7

# Relative: what a molecular dynamics run or a minimization by two routes ends in, which let roundings grow.
AFTER_STEPS = 1e-8

# Relative: files of deviations and the table of `neb` have seven digits or more.
PRINTED_DIGITS = 1e-6

# Absolute: numbers of order one in extended XYZ, which ASE writes with eight decimals.
EIGHT_DECIMALS = 1e-7

# Relative: reports print three digits.
TABLE_DIGITS = 5e-3
