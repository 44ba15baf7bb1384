// What can be wrong with an input script although every command in it is right. All ranks call these.
#pragma once

#include <vector>

namespace LAMMPS_NS {
class LAMMPS;
class NeighList;
}    // namespace LAMMPS_NS

namespace pair_cace {

// LAMMPS energy unit per eV. error->all unless units are metal or real.
double energy_unit(LAMMPS_NS::LAMMPS *lmp);

// error->all if bonded pairs of atoms that the model treats are left out of the neighbour list.
// `atomic_numbers` by type, 0 for types that the model does not treat.
void refuse_excluded_bonded_neighbors(LAMMPS_NS::LAMMPS *lmp, const std::vector<int> &atomic_numbers);

// Warns of elements whose masses are in another order than their atomic numbers.
void warn_of_swapped_elements(LAMMPS_NS::LAMMPS *lmp, const std::vector<int> &atomic_numbers);

// Warns if an mpiexec of another MPI started this process as one of several: then each runs all of it.
void warn_of_another_mpi(LAMMPS_NS::LAMMPS *lmp);

// Bits of the groups that neigh_modify excludes from `all`: a potential is not to see their atoms. Fixes that
// try what is without an atom, as `fix gcmc` does, make such a group.
int groups_hidden_from_all(LAMMPS_NS::LAMMPS *lmp);

// Whether neigh_modify exclude or include takes anything but whole atoms from neighbor lists.
bool excludes_pairs(LAMMPS_NS::LAMMPS *lmp);

// Of neigh_modify exclude and include.
void warn_of_excluded_neighbors(LAMMPS_NS::LAMMPS *lmp);

// error->all if `pair_style hybrid` gives pairs of two types that the model treats to another style.
void refuse_skipped_pairs(LAMMPS_NS::LAMMPS *lmp, const LAMMPS_NS::NeighList &list,
                          const std::vector<int> &atomic_numbers);

}    // namespace pair_cace
