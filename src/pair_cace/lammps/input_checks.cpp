#include "input_checks.h"

#include "chemical_symbols.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "group.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "universe.h"
#include "update.h"
#include "utils.h"

#include <cstdlib>
#include <cstring>

namespace pair_cace {

using namespace LAMMPS_NS;

double energy_unit(LAMMPS *lmp)
{
  const char *unit_style = lmp->update->unit_style;
  if (std::strcmp(unit_style, "metal") == 0) return 1.0;
  if (std::strcmp(unit_style, "real") == 0) return utils::get_conversion_factor(utils::ENERGY, utils::METAL2REAL);
  lmp->error->all(FLERR, "Pair style cace: expected 'units metal' or 'units real', got 'units {}'{}", unit_style,
                  std::strcmp(unit_style, "lj") == 0 ? " (the default of LAMMPS)" : "");
}

namespace {

// Of class k, 1-(k+1) neighbours. Those of a molecule template are not known here, and taken to be there.
bool has_special_neighbors(const Atom &atom, int i, int k)
{
  if (atom.molecular == Atom::TEMPLATE) return atom.molindex[i] >= 0;
  const int *count = atom.nspecial[i];    // cumulative over the classes
  return count[k - 1] > (k > 1 ? count[k - 2] : 0);
}

}    // namespace

// LAMMPS drops bonded pairs whose special_bonds factors are zero from the neighbour list (unless a style
// needs them, as kspace does); the model would silently miss the atoms that matter most.
void refuse_excluded_bonded_neighbors(LAMMPS *lmp, const std::vector<int> &atomic_numbers)
{
  const auto *atom = lmp->atom;
  if (atom->molecular == Atom::ATOMIC) return;
  int mine = 0, left_out = 0;    // k of a class of 1-(k+1) neighbours that is left out
  for (int k = 3; k >= 1; --k) {
    if (lmp->neighbor->special_flag[k] != 0) continue;
    for (int i = 0; i < atom->nlocal; ++i) {
      if (atomic_numbers[atom->type[i]] != 0 && has_special_neighbors(*atom, i, k)) mine = k;
    }
  }
  MPI_Allreduce(&mine, &left_out, 1, MPI_INT, MPI_MAX, lmp->world);
  if (left_out > 0)
    lmp->error->all(FLERR,
                    "Pair style cace: expected 'special_bonds lj/coul 1.0 1.0 1.0' for atoms "
                    "with bonds, got a factor of 0 for 1-{} neighbors, which removes them from "
                    "the neighbor list",
                    left_out + 1);
}

// Elements in the wrong order give a potential that runs, and nonsense. Heavier atoms have higher
// atomic numbers, but for neighbours such as Ar and K, which differ by 2 %.
void warn_of_swapped_elements(LAMMPS *lmp, const std::vector<int> &atomic_numbers)
{
  const auto *atom = lmp->atom;
  if (!atom->mass || lmp->comm->me != 0) return;
  for (int a = 1; a <= atom->ntypes; ++a)
    for (int b = 1; b <= atom->ntypes; ++b)
      if (atomic_numbers[a] != 0 && atomic_numbers[a] < atomic_numbers[b] && atom->mass[a] > 1.1 * atom->mass[b])
        lmp->error->warning(FLERR,
                            "Pair style cace: atom type {} is given as {} and has mass {}, type "
                            "{} is given as {} and has mass {}; check the order of the "
                            "elements in pair_coeff",
                            a, chemical_symbols[atomic_numbers[a] - 1], atom->mass[a], b,
                            chemical_symbols[atomic_numbers[b] - 1], atom->mass[b]);
}

void warn_of_another_mpi(LAMMPS *lmp)
{
  if (lmp->universe->nprocs > 1) return;
  for (const char *name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    const char *size = std::getenv(name);
    if (size && std::atoi(size) > 1)
      return lmp->error->warning(FLERR,
                                 "Pair style cace: this is one of {} processes ({}), but its LAMMPS knows "
                                 "only itself, so that each of them runs all atoms and writes the same "
                                 "files; start it with the mpiexec of the MPI that LAMMPS was built "
                                 "with (for the LAMMPS of the Python package, the one beside lmp)",
                                 size, name);
  }
}

namespace {

constexpr int all_atoms = 0;    // group

// The group that exclusion k hides from all others, or −1.
int hidden_group(const Neighbor &neighbor, int k)
{
  if (neighbor.ex2_group[k] == all_atoms) return neighbor.ex1_group[k];
  return neighbor.ex1_group[k] == all_atoms ? neighbor.ex2_group[k] : -1;
}

}    // namespace

int groups_hidden_from_all(LAMMPS *lmp)
{
  int bits = 0;
  for (int k = 0; k < lmp->neighbor->nex_group; ++k)
    if (const int group = hidden_group(*lmp->neighbor, k); group >= 0) bits |= lmp->group->bitmask[group];
  return bits;
}

bool excludes_pairs(LAMMPS *lmp)
{
  const auto *neighbor = lmp->neighbor;
  for (int k = 0; k < neighbor->nex_group; ++k)
    if (hidden_group(*neighbor, k) < 0) return true;
  return neighbor->nex_type + neighbor->nex_mol > 0 || neighbor->includegroup > 0;
}

void warn_of_excluded_neighbors(LAMMPS *lmp)
{
  if ((excludes_pairs(lmp) || groups_hidden_from_all(lmp)) && lmp->comm->me == 0)
    lmp->error->warning(FLERR,
                        "Pair style cace: neigh_modify {} hides atoms from the potential, which "
                        "changes the energies of all their neighbors, not of the pair alone",
                        lmp->neighbor->includegroup > 0 ? "include" : "exclude");
}

void refuse_skipped_pairs(LAMMPS *lmp, const NeighList &list, const std::vector<int> &atomic_numbers)
{
  if (!list.ijskip) return;
  for (int a = 1; a <= lmp->atom->ntypes; ++a)
    for (int b = a; b <= lmp->atom->ntypes; ++b)
      if (list.ijskip[a][b] && atomic_numbers[a] != 0 && atomic_numbers[b] != 0)
        lmp->error->all(FLERR,
                        "Pair style cace: expected all pairs of atoms of types {} and {}, got none of "
                        "them, because 'pair_style hybrid' gives them to another style, and the model "
                        "would miss these neighbors; use 'pair_style hybrid/overlay'",
                        a, b);
}

}    // namespace pair_cace
