// LAMMPS exports reference BLAS and LAPACK routines (dgemm_, ddot_, …). Inside `lmp` they stand
// before libtorch in the dynamic linker's search order, and libtorch's double-precision matrix
// products bind to them: correct, but about ten times slower.
#pragma once

namespace pair_cace {

// Makes libtorch call its own BLAS again, where it carries one. Elsewhere there is nothing to do (other systems,
// libtorch on an external BLAS).
void use_own_blas_in_torch();

}    // namespace pair_cace
