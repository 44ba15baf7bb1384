#include "lammps_edges.h"

#include "atom.h"
#include "neigh_list.h"

#include <stdexcept>
#include <string>

namespace pair_cace {

using LAMMPS_NS::Atom;
using LAMMPS_NS::NeighList;

void Rows::number_local(const Atom &atom, const std::vector<int> &atomic_numbers)
{
  of_atom.assign(atom.nlocal + atom.nghost, none);
  atoms.clear();
  for (int i = 0; i < atom.nlocal; ++i) {
    if (atomic_numbers[atom.type[i]] == 0) continue;
    of_atom[i] = static_cast<int>(atoms.size());
    atoms.push_back(i);
  }
  n_local = static_cast<int>(atoms.size());
}

void Rows::append_ghosts(const Atom &atom, const std::vector<int> &atomic_numbers)
{
  for (int i = atom.nlocal; i < atom.nlocal + atom.nghost; ++i) {
    if (atomic_numbers[atom.type[i]] == 0) continue;
    of_atom[i] = static_cast<int>(atoms.size());
    atoms.push_back(i);
  }
}

void gather_edges(const NeighList &list, const Atom &atom, const std::vector<int> &atomic_numbers,
                  const Rows &rows, double cutoff, EdgeList &edges)
{
  edges.clear();
  edges.n_atoms = rows.n_local;
  for (int i : rows.atoms) edges.species.push_back(atomic_numbers[atom.type[i]]);

  const double *const *x = atom.x;
  const double cutoff_squared = cutoff * cutoff;
  for (int ii = 0; ii < list.inum; ++ii) {
    const int i = list.ilist[ii];
    const int receiver = rows.of_atom[i];
    if (receiver == Rows::none) continue;
    for (int jj = 0; jj < list.numneigh[i]; ++jj) {
      const int j = list.firstneigh[i][jj] & NEIGHMASK;
      const int sender = rows.of_atom[j];
      if (sender == Rows::none) continue;
      const double r[3] = {x[i][0] - x[j][0], x[i][1] - x[j][1], x[i][2] - x[j][2]};
      const double r_squared = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
      if (r_squared >= cutoff_squared) continue;
      if (r_squared == 0.0)
        throw std::runtime_error("two atoms are at the same place (atom IDs " +
                                 std::to_string(atom.tag[i]) + " and " +
                                 std::to_string(atom.tag[j]) +
                                 "); remove one of them, for example with delete_atoms overlap");
      edges.receivers.push_back(receiver);
      edges.senders.push_back(sender);
      edges.vectors.insert(edges.vectors.end(), r, r + 3);
    }
  }
}

}    // namespace pair_cace
