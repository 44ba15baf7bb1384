// What pair_style cace does in every step.

#include "pair_cace.h"

#include "input_checks.h"
#include "ops/edge_forces.h"
#include "ops/threads.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <numeric>
#include <thread>

using namespace LAMMPS_NS;

void PairCACE::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  if (neighbor->ago == 0) {
    ++n_builds_;
    check_neighbors();
  }
  const int n_models = static_cast<int>(models_.size());
  const bool deviates = n_models > 1 && wants_deviation();
  outside_.start_step();
  if (deviates) deviation_.start(n_models, atom->nlocal, atom->nghost);
  for (int k = 0; k < (deviates ? n_models : n_driving()); ++k) {
    evaluate(k, vflag_global || deviates);
    if (k == 0 && outside_.is_watching()) finish_watching();
    if (k < n_driving()) {
      const double share = energy_unit_ / n_driving();
      add_forces(share);
      tally(k, share);
    }
    if (deviates) {
      const auto energies = result_.energies.begin();
      const double energy = std::accumulate(energies, energies + edges_.n_atoms, 0.0);
      deviation_.add(k, rows_, row_forces_.data(), energy, virial_of_edges());
    }
  }
  if (deviates) report_deviation();
}

// Of what may have changed since the last build: bonds that were made, and groups that a fix hides.
void PairCACE::check_neighbors()
{
  pair_cace::refuse_excluded_bonded_neighbors(lmp, atomic_numbers_);
  pair_cace::refuse_skipped_pairs(lmp, *list, atomic_numbers_);
  hidden_groups_ = pair_cace::groups_hidden_from_all(lmp);
  if (!own_neighbors_.empty() && pair_cace::excludes_pairs(lmp))
    error->all(FLERR, "Pair style cace: expected no neigh_modify exclude or include because of its own neighbor "
                      "lists, got some from a command after the beginning of this run; use 'neighbors lammps'");
}

// Rows, energies and forces of model k; the virial, if it is wanted, where there are no edges to sum it up from.
void PairCACE::evaluate(int k, bool wants_virial)
{
  if (!own_neighbors_.empty()) return evaluate_own(k, wants_virial);
  with_edges_for(k, k == 0, [&] {
    const double start = MPI_Wtime() - exchange_.seconds();
    models_[k]->evaluate(edges_, exchange_for(k), result_);
    times_.model += MPI_Wtime() - exchange_.seconds() - start;
  });
  sum_edge_forces();
}

void PairCACE::describe(std::vector<double> &descriptors)
{
  with_edges_for(0, false, [&] { models_[0]->describe(edges_, exchange_for(0), descriptors); });
}

void PairCACE::predict(const std::vector<std::string> &names, std::vector<double> &values)
{
  std::vector<double> found;
  for (int k = 0; k < n_driving(); ++k) {
    with_edges_for(k, false, [&] { models_[k]->predict(edges_, exchange_for(k), names, found); });
    const std::size_t n = rows_.n_local * names.size();
    if (k == 0) values.assign(n, 0.0);
    for (std::size_t i = 0; i < n; ++i) values[i] += found[i] / n_driving();
  }
}

// What the edges of the first model say of this step.
void PairCACE::finish_watching()
{
  const bool is_own = !own_neighbors_.empty();
  if (is_own && edges_.n_atoms > 0 && neighbor->ago == 0) densities_ = own_neighbors_[0]->densities();
  if (!is_own && neighbor->ago == 0) pair_cace::find_densities(edges_, models_[0]->info().cutoff, densities_);
  densities_.resize(edges_.n_atoms);
  outside_.finish_step(eflag_global, densities_, is_own ? points_.species : edges_.species);
}

// Numbers the atoms for model k, gathers the edges, and lets `use` do something with them; `watches`: contacts among
// them are counted.
void PairCACE::with_edges_for(int k, bool watches, const std::function<void()> &use)
{
  with_rows_for(k, [&] {
    const double start = MPI_Wtime();
    if (own_neighbors_.empty()) {
      pair_cace::gather_edges(*list, *atom, atomic_numbers_, rows_, models_[k]->info().cutoff, edges_,
                              watches ? outside_.limits() : pair_cace::ContactLimits(), outside_.contacts());
    } else {
      gather_points();
      naming_atoms([&] { own_neighbors_[k]->find_edges(points_, edges_); });
    }
    times_.edges += MPI_Wtime() - start;
    use();
  });
}

// What tells the messages of model k to other ranks; null: nothing needs to.
pair_cace::GhostExchange *PairCACE::exchange_for(int k)
{
  return models_[k]->info().n_layers > 0 && comm->nprocs > 1 ? &exchange_ : nullptr;
}

// Numbers the atoms for model k, and lets `use` do something where that is not idle: ranks without atoms take
// part in the exchange of messages.
void PairCACE::with_rows_for(int k, const std::function<void()> &use)
{
  const bool exchanges = exchange_for(k) != nullptr;
  number_atoms(models_[k]->info(), exchanges);
  edges_.n_edges = edges_.n_atoms = 0;
  if (rows_.n_local == 0 && !exchanges) return;
  try {
    use();
  } catch (const std::exception &e) {
    stop_from_this_rank(e.what());
  }
}

// With message passing the sender of an edge must be an atom with features. On one rank a ghost
// stands for its owner. On several, or without messages, ghosts get rows of their own.
void PairCACE::number_atoms(const pair_cace::ModelInfo &info, bool exchanges)
{
  const bool owners_stand_for_ghosts = info.n_layers > 0 && !exchanges;
  rows_.number(*atom, atomic_numbers_, hidden_groups_, !owners_stand_for_ghosts);
  exchange_.use_rows(rows_.of_atom, comm_forward);
  if (owners_stand_for_ghosts) exchange_.owners_to_ghosts(rows_.of_atom);
}

// row_forces_ = forces (rows, 3) in eV/Å.
void PairCACE::sum_edge_forces()
{
  const double start = MPI_Wtime();
  const int64_t n = 3 * static_cast<int64_t>(rows_.atoms.size());
  const int n_shares = pair_cace::worthwhile_shares(6 * edges_.n_edges);
  pair_cace::make_room(row_forces_, n_shares * n);
  pair_cace::in_shares(edges_.n_edges, n_shares, [&](int64_t begin, int64_t end, int share) {
    double *forces = row_forces_.data() + share * n;    // of its own: senders are shared
    std::fill(forces, forces + n, 0.0);
    pair_cace::add_edge_forces(result_.edge_gradient.data() + 3 * begin, edges_.senders.data() + begin,
                               edges_.receivers.data() + begin, end - begin, forces);
  });
  for (int share = 1; share < n_shares; ++share)
    for (int64_t k = 0; k < n; ++k) row_forces_[k] += row_forces_[share * n + k];
  times_.forces += MPI_Wtime() - start;
}

void PairCACE::add_forces(double share)
{
  double **f = atom->f;
  for (std::size_t row = 0; row < rows_.atoms.size(); ++row)
    for (int k = 0; k < 3; ++k) f[rows_.atoms[row]][k] += share * row_forces_[3 * row + k];
}

namespace {

// LAMMPS' order of a virial: xx yy zz xy xz yz, and yx zx zy where it is not symmetric.
constexpr int first[9] = {0, 1, 2, 0, 0, 1, 1, 2, 2}, second[9] = {0, 1, 2, 1, 2, 2, 0, 0, 1};

}    // namespace

void PairCACE::tally(int k, double share)
{
  if (eflag_either) {
    for (int64_t row = 0; row < edges_.n_atoms; ++row) {
      const double energy = share * result_.energies[row];
      if (eflag_global) eng_vdwl += energy;
      if (eflag_atom) eatom[rows_.atoms[row]] += energy;
    }
  }
  if (vflag_global) {
    const std::array<double, 9> sum = virial_of_edges();
    for (int c = 0; c < 6; ++c) virial[c] += share * sum[3 * first[c] + second[c]];
  }
  if (vflag_atom || cvflag_atom) tally_virials_of_atoms(k, share);
}

// In eV, on all threads.
std::array<double, 9> PairCACE::virial_of_edges() const
{
  if (!own_neighbors_.empty()) return own_virial_;
  const int n_shares = pair_cace::worthwhile_shares(20 * edges_.n_edges);
  std::vector<std::array<double, 9>> parts(n_shares, std::array<double, 9>{});
  pair_cace::in_shares(edges_.n_edges, n_shares, [&](int64_t begin, int64_t end, int share) {
    std::array<double, 9> sum{};
    pair_cace::add_edge_virial(edges_.vectors.data() + 3 * begin, result_.edge_gradient.data() + 3 * begin, end - begin,
                               sum.data());
    parts[share] = sum;
  });
  for (int share = 1; share < n_shares; ++share)
    for (int k = 0; k < 9; ++k) parts[0][k] += parts[share][k];
  return parts[0];
}

// Half of an edge's virial goes to either end: exact in the sum, a convention atom by atom.
// The virial of nine components (centroid/stress/atom) goes to the sender, which makes the heat flux
// Σ_j W_j·v_j exact without message passing, where g_e = ∂E_i/∂r_e is of the receiver i alone: then
// d/dt Σ_i r_i E_i has the potential part −Σ_e r_e (g_e·v_j) (Fan et al., Phys. Rev. B 92, 094301). With
// message passing g_e holds energies of more atoms, and this is a convention, too.
void PairCACE::tally_virials_of_atoms(int k, double share)
{
  if (!own_neighbors_.empty() && edges_.n_atoms > 0) own_neighbors_[k]->fetch(edges_, result_);
  for (int64_t e = 0; e < edges_.n_edges; ++e) {
    const double *r = &edges_.vectors[3 * e], *g = &result_.edge_gradient[3 * e];
    const int sender = rows_.atoms[edges_.senders[e]], receiver = rows_.atoms[edges_.receivers[e]];
    for (int c = 0; c < (cvflag_atom ? 9 : 6); ++c) {
      const double w = -share * r[first[c]] * g[second[c]];
      if (cvflag_atom) cvatom[sender][c] += w;
      if (!vflag_atom || c >= 6) continue;
      vatom[sender][c] += 0.5 * w;
      vatom[receiver][c] += 0.5 * w;
    }
  }
}

// What is wrong here the other ranks do not know. MPI ends them as soon as it is told, often before the
// text of this rank has reached the screen; so it is told a little later.
void PairCACE::stop_from_this_rank(const std::string &problem)
{
  try {
    error->one(FLERR, "Pair style cace: {}{}", problem, outside_.untold());
  } catch (...) {
    std::fflush(nullptr);
    if (comm->nprocs > 1) std::this_thread::sleep_for(std::chrono::milliseconds(300));
    throw;
  }
}

// ---- committee ---------------------------------------------------------------------------------

// On steps of the file, on those that `fix pair` asks for, and whenever energies are known.
bool PairCACE::wants_deviation() const
{
  return eflag_global || deviation_flag_ ||
         (settings_.deviation_every > 0 && update->ntimestep % settings_.deviation_every == 0);
}

void PairCACE::report_deviation()
{
  deviation_.finish(lmp, exchange_, rows_, energy_unit_);
  pvector_ = {};
  if (comm->me == 0)    // LAMMPS adds up what the ranks have
    pvector_ = {deviation_.forces().largest, deviation_.forces().smallest, deviation_.forces().mean,
                deviation_.energy()};
  const bool writes = settings_.deviation_every > 0 && update->ntimestep % settings_.deviation_every == 0;
  if (!writes || comm->me != 0) return;
  try {
    deviation_.write(settings_.deviation_file, update->ntimestep);
  } catch (const std::exception &e) {
    stop_from_this_rank(e.what());
  }
}

void *PairCACE::extract(const char *name, int &dim)
{
  dim = 0;
  return std::strcmp(name, "force_deviation_flag") == 0 ? &deviation_flag_ : nullptr;
}

void *PairCACE::extract_peratom(const char *name, int &n_columns)
{
  n_columns = 0;
  if (std::strcmp(name, "force_deviation") != 0 || models_.size() < 2) return nullptr;
  if (update->whichflag != 0 && deviation_.step() != update->ntimestep)
    error->all(FLERR, "Pair style cace: the force deviation was not asked for before this step; use 'fix pair ... "
                      "force_deviation 1'");
  return deviation_.of_atoms();
}
