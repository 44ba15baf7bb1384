// pair_style cace with neighbour lists of its own: what LAMMPS holds becomes points, and energies and forces come back.

#include "pair_cace.h"

#include "input_checks.h"
#include "ops/cuda/cuda_kernels.h"
#include "ops/threads.h"

#include "atom.h"
#include "error.h"
#include "neighbor.h"
#include "utils.h"

#include <algorithm>
#include <utility>

using namespace LAMMPS_NS;

// Our own lists hold all pairs, so that they can not be used where LAMMPS is to leave some out.
void PairCACE::choose_neighbors()
{
  const bool on_gpu = !models_.empty() && models_[0]->info().is_on_gpu && pair_cace::has_cuda_kernels();
  const auto wish = settings_.neighbors;
  bool own = wish == pair_cace::NeighborChoice::own || (wish == pair_cace::NeighborChoice::automatic && on_gpu);
  if (own && pair_cace::excludes_pairs(lmp)) {
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
  std::vector<int> atoms;
  atoms.reserve(atoms_of_points_.size());
  for (int i = 0; i < atom->nlocal + atom->nghost; ++i)
    if (rows_.of_atom[i] != pair_cace::Rows::none) atoms.push_back(i);
  if (atoms != atoms_of_points_) ++n_builds_;
  atoms_of_points_ = std::move(atoms);

  const auto on_all_threads = [](int64_t n, const auto &body) {
    pair_cace::in_shares(n, pair_cace::worthwhile_shares(10 * n), [&](int64_t begin, int64_t end, int) {
      for (int64_t k = begin; k < end; ++k) body(k);
    });
  };
  const int64_t n_points = atoms_of_points_.size(), n_rows = rows_.atoms.size();
  points_.n_receivers = rows_.n_local;
  points_.species.resize(n_rows);
  on_all_threads(n_rows, [&](int64_t row) { points_.species[row] = atomic_numbers_[atom->type[rows_.atoms[row]]]; });
  points_.row_of_point.resize(n_points);
  points_.positions.resize(3 * n_points);
  on_all_threads(n_points, [&](int64_t k) {
    const int i = atoms_of_points_[k];
    points_.row_of_point[k] = rows_.of_atom[i];
    std::copy_n(atom->x[i], 3, points_.positions.data() + 3 * k);
  });
}

// Points mean nothing to users: errors of `use` that speak of two of them are said of atoms.
void PairCACE::naming_atoms(const std::function<void()> &use) const
{
  try {
    use();
  } catch (const pair_cace::CoincidentPoints &pair) {
    throw pair_cace::two_atoms_at_one_place(*atom, atoms_of_points_[pair.receiver], atoms_of_points_[pair.point]);
  }
}

void PairCACE::evaluate_own(int k, bool wants_virial)
{
  own_virial_ = {};
  bool is_idle = true;
  with_rows_for(k, [&] {
    is_idle = false;
    const double start = MPI_Wtime();
    gather_points();
    times_.edges += MPI_Wtime() - start;
    const double before = MPI_Wtime() - exchange_.seconds();
    const bool is_new = built_at_[k] != n_builds_;
    naming_atoms([&] {
      own_neighbors_[k]->evaluate(points_, is_new, neighbor->skin, exchange_for(k), result_.energies, row_forces_,
                                  wants_virial ? &own_virial_ : nullptr, k == 0 ? &outside_.contacts() : nullptr);
    });
    built_at_[k] = n_builds_;
    edges_.n_atoms = points_.n_receivers;
    times_.model += MPI_Wtime() - exchange_.seconds() - before;
  });
  if (is_idle) row_forces_.assign(3 * rows_.atoms.size(), 0.0);
}
