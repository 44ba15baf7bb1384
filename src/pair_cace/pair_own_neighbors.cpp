// pair_style cace with neighbour lists of its own: what LAMMPS holds becomes points, and energies and forces come back.

#include "pair_cace.h"

#include "input_checks.h"

#include "atom.h"
#include "error.h"
#include "neighbor.h"
#include "utils.h"

#include <algorithm>

using namespace LAMMPS_NS;

// Our own lists hold all pairs, so that they can not be used where LAMMPS is to leave some out.
void PairCACE::choose_neighbors()
{
  const bool on_gpu = !models_.empty() && models_[0]->is_on_gpu();
  const auto wish = settings_.neighbors;
  bool own = wish == pair_cace::NeighborChoice::own || (wish == pair_cace::NeighborChoice::automatic && on_gpu);
  if (own && pair_cace::excludes_neighbors(lmp)) {
    if (wish == pair_cace::NeighborChoice::own)
      error->all(FLERR, "Pair style cace: expected no neigh_modify exclude or include because of 'neighbors own', got "
                        "some; use 'neighbors lammps' or 'neighbors auto'");
    own = false;
  }
  if (!own) return own_neighbors_.clear();
  if (own_neighbors_.empty())
    for (const auto &model : models_) own_neighbors_.push_back(std::make_unique<pair_cace::OwnNeighbors>(*model));
  built_at_.assign(models_.size(), -1);
}

// From rows_, every step: types and with them elements may change between two builds of LAMMPS' lists.
void PairCACE::gather_points()
{
  points_.n_receivers = rows_.n_local;
  points_.species.clear();
  for (int i : rows_.atoms) points_.species.push_back(atomic_numbers_[atom->type[i]]);
  points_.row_of_point.clear();
  points_.positions.clear();
  std::size_t n = 0;
  bool same = true;
  const int n_all = atom->nlocal + atom->nghost;
  for (int i = 0; i < n_all; ++i) {
    if (rows_.of_atom[i] == pair_cace::Rows::none) continue;
    points_.row_of_point.push_back(rows_.of_atom[i]);
    points_.positions.insert(points_.positions.end(), atom->x[i], atom->x[i] + 3);
    same = same && n < atoms_of_points_.size() && atoms_of_points_[n] == i;
    ++n;
  }
  if (same && n == atoms_of_points_.size()) return;
  ++n_builds_;
  atoms_of_points_.clear();
  for (int i = 0; i < n_all; ++i)
    if (rows_.of_atom[i] != pair_cace::Rows::none) atoms_of_points_.push_back(i);
}

void PairCACE::evaluate_own(int k, bool wants_virial)
{
  own_virial_ = {};
  result_.energies.clear();
  row_forces_.clear();
  with_rows_for(k, [&] {
    const double start = MPI_Wtime();
    gather_points();
    times_.edges += MPI_Wtime() - start;
    const double before = MPI_Wtime() - exchange_.seconds();
    const bool is_new = built_at_[k] != n_builds_;
    try {
      own_neighbors_[k]->evaluate(points_, is_new, neighbor->skin, result_.energies, row_forces_,
                                  wants_virial ? &own_virial_ : nullptr);
    } catch (const pair_cace::CoincidentPoints &pair) {
      throw pair_cace::two_atoms_at_one_place(*atom, atoms_of_points_[pair.receiver], atoms_of_points_[pair.point]);
    }
    built_at_[k] = n_builds_;
    edges_.n_atoms = points_.n_receivers;
    times_.model += MPI_Wtime() - exchange_.seconds() - before;
  });
  if (row_forces_.empty()) row_forces_.assign(3 * rows_.atoms.size(), 0.0);
}

void PairCACE::fetch_own_edges(int k)
{
  if (edges_.n_atoms > 0) own_neighbors_[k]->fetch(edges_, result_);
}

void PairCACE::find_own_edges(int k)
{
  gather_points();
  try {
    own_neighbors_[k]->find_edges(points_, edges_);
  } catch (const pair_cace::CoincidentPoints &pair) {
    throw pair_cace::two_atoms_at_one_place(*atom, atoms_of_points_[pair.receiver], atoms_of_points_[pair.point]);
  }
}
