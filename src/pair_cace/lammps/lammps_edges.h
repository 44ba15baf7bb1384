// From what LAMMPS holds (positions, types, full neighbour list) to the edge list of the model.
#pragma once

#include "exported/edge_list.h"
#include "ops/neighbors/contacts.h"

#include <stdexcept>
#include <vector>

namespace LAMMPS_NS {
class Atom;
class NeighList;
}    // namespace LAMMPS_NS

namespace pair_cace {

// Which atom stands in which row of the edge list. Atoms of a type that the model does not treat
// (NULL in pair_coeff) have no row, nor have those of `hidden` groups, given by their bits.
struct Rows {
  static constexpr int none = -1;

  std::vector<int> of_atom;    // (nlocal + nghost,)  row of a LAMMPS atom, or none
  std::vector<int> atoms;      // (rows,)             LAMMPS atom of a row, local atoms first
  int n_local = 0;             // rows of local atoms

  // Numbers the local atoms, and ghosts if they are to have rows of their own. Without message passing ghosts only send,
  // so what they carry besides their element does not matter. `atomic_numbers` by type, 0 for NULL.
  void number(const LAMMPS_NS::Atom &atom, const std::vector<int> &atomic_numbers, int hidden, bool with_ghosts);
};

// What is to be said of LAMMPS' atoms i and j.
std::runtime_error two_atoms_at_one_place(const LAMMPS_NS::Atom &atom, int i, int j);

// Fills `edges` with every pair closer than `cutoff` of which both atoms have a row, receivers in
// ascending order. Differences are taken in double precision. Throws std::runtime_error if two atoms
// coincide. Contacts, one for each pair of kinds, are added to where there are limits.
void gather_edges(const LAMMPS_NS::NeighList &list, const LAMMPS_NS::Atom &atom, const std::vector<int> &atomic_numbers,
                  const Rows &rows, double cutoff, EdgeList &edges, const ContactLimits &limits,
                  std::vector<Contact> &contacts);

// Around all receivers, (n_atoms,) atoms/Å³.
void find_densities(const EdgeList &edges, double cutoff, std::vector<double> &densities);

}    // namespace pair_cace
