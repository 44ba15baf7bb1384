#include "pair_cace.h"

#include "chemical_symbols.h"
#include "input_checks.h"
#include "ops/edge_forces.h"
#include "ops/threads.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "utils.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

using namespace LAMMPS_NS;

namespace {

std::string joined(const std::vector<std::string> &words)
{
  std::string text;
  for (const std::string &word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

}    // namespace

PairCACE::PairCACE(LAMMPS *lmp) : Pair(lmp), exchange_(lmp, this)
{
  one_coeff = 1;
  manybody_flag = 1;
  single_enable = 0;
  restartinfo = 0;
  unit_convert_flag = utils::get_supported_conversions(utils::ENERGY);
  no_virial_fdotr_compute = 1;    // the virial comes from the edges
  centroidstressflag = CENTROID_AVAIL;
  comm_forward = 1;    // the row of an owner
}

PairCACE::~PairCACE()
{
  if (!allocated) return;
  memory->destroy(setflag);
  memory->destroy(cutsq);
}

void PairCACE::allocate()
{
  const int n = atom->ntypes + 1;
  memory->create(setflag, n, n, "pair:setflag");
  memory->create(cutsq, n, n, "pair:cutsq");
  for (int i = 1; i < n; ++i)
    for (int j = 1; j < n; ++j) setflag[i][j] = 0;
  map = new int[n];
  allocated = 1;
}

// ---- input script ------------------------------------------------------------------------------

void PairCACE::settings(int narg, char **arg)
{
  const pair_cace::DeviceChoice device_before = device_;
  device_ = pair_cace::DeviceChoice::automatic;
  for (int k = 0; k < narg; k += 2) {
    if (std::strcmp(arg[k], "device") != 0)
      error->all(FLERR, "Pair style cace: expected the keyword 'device', got '{}'", arg[k]);
    const std::string value = k + 1 < narg ? arg[k + 1] : "";
    if (value == "cpu")
      device_ = pair_cace::DeviceChoice::cpu;
    else if (value == "cuda")
      device_ = pair_cace::DeviceChoice::cuda;
    else if (value == "auto")
      device_ = pair_cace::DeviceChoice::automatic;
    else
      error->all(FLERR, "Pair style cace: expected cpu, cuda or auto after 'device', got '{}'",
                 value);
  }

  // The model lives on the device that was asked for before; LAMMPS will ask for pair_coeff again.
  if (allocated && device_ != device_before)
    for (int i = 1; i <= atom->ntypes; ++i)
      for (int j = 1; j <= atom->ntypes; ++j) setflag[i][j] = 0;
}

void PairCACE::coeff(int narg, char **arg)
{
  // LAMMPS itself has seen to the two asterisks, because of one_coeff.
  if (narg != 3 + atom->ntypes)
    error->all(FLERR, "Pair style cace: expected 'pair_coeff * * model.pt' followed by one element "
                      "(or NULL) for each of {} atom types, got {}",
               atom->ntypes,
               narg < 3 ? "no file name" : fmt::format("{} after the file name", narg - 3));

  // Nothing is replaced before everything has been checked: a program that catches the error keeps
  // the potential it had.
  const std::string path = arg[2];
  auto model = load_model(path);
  auto atomic_numbers =
      atomic_numbers_of_types(std::vector<std::string>(arg + 3, arg + narg), model->info(), path);
  model_ = std::move(model);
  atomic_numbers_ = std::move(atomic_numbers);
  if (!allocated) allocate();
  map_element2type(narg - 3, arg + 3);
  log_what_was_loaded(path);
}

std::unique_ptr<pair_cace::ExportedModel> PairCACE::load_model(const std::string &path)
{
  std::unique_ptr<pair_cace::ExportedModel> model;
  std::string problem;
  try {
    model = std::make_unique<pair_cace::ExportedModel>(path, device_);
  } catch (const std::exception &e) {
    problem = e.what();
  }

  // A file or a device may be missing on one node only. All ranks stop for it, and the first speaks:
  // what a rank prints that ends the run by itself may be lost.
  const int failed = model ? 0 : 1;
  const int mine = failed ? comm->me : comm->nprocs;
  int n_failed = 0, first = 0;
  MPI_Allreduce(&failed, &n_failed, 1, MPI_INT, MPI_SUM, world);
  if (n_failed == 0) return model;
  MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, world);
  int length = static_cast<int>(problem.size());
  MPI_Bcast(&length, 1, MPI_INT, first, world);
  problem.resize(length);
  MPI_Bcast(problem.data(), length, MPI_CHAR, first, world);
  if (n_failed == comm->nprocs) error->all(FLERR, "Pair style cace: {}", problem);
  error->all(FLERR, "Pair style cace, on {} of {} MPI ranks: {}", n_failed, comm->nprocs, problem);
}

std::vector<int> PairCACE::atomic_numbers_of_types(const std::vector<std::string> &symbols,
                                                   const pair_cace::ModelInfo &info,
                                                   const std::string &path)
{
  std::vector<int> atomic_numbers(symbols.size() + 1, 0);
  for (std::size_t type = 1; type < atomic_numbers.size(); ++type) {
    const std::string &symbol = symbols[type - 1];
    if (symbol == "NULL") continue;
    if (std::find(info.elements.begin(), info.elements.end(), symbol) == info.elements.end())
      error->all(FLERR, "Pair style cace: expected one of the elements of {} ({}) or NULL for "
                        "atom type {}, got '{}'",
                 path, joined(info.elements), type, symbol);
    atomic_numbers[type] = pair_cace::atomic_number(symbol);
  }
  if (std::count(atomic_numbers.begin(), atomic_numbers.end(), 0) == std::ssize(atomic_numbers))
    error->all(FLERR, "Pair style cace: expected an element for at least one atom type, got NULL "
                      "for all of them");
  return atomic_numbers;
}

void PairCACE::log_what_was_loaded(const std::string &path)
{
  if (comm->me != 0) return;
  const pair_cace::ModelInfo &info = model_->info();
  utils::logmesg(lmp,
                 "Pair style cace: {} (elements {}; cutoff {} Angstrom; {} message-passing "
                 "layer{}; {}) on {}, {} thread{} per MPI rank\n",
                 path, joined(info.elements), info.cutoff, info.n_layers,
                 info.n_layers == 1 ? "" : "s", info.dtype, model_->device(), model_->threads(),
                 model_->threads() == 1 ? "" : "s");
}

// ---- before a run ------------------------------------------------------------------------------

void PairCACE::init_style()
{
  energy_unit_ = pair_cace::energy_unit(lmp);
  if (!force->newton_pair)
    error->all(FLERR, "Pair style cace: expected 'newton on', got newton off for pair forces; "
                      "remove 'newton off' from the input");
  if (atom->tag_enable == 0)
    error->all(FLERR, "Pair style cace: expected atom IDs, got 'atom_modify id no'");

  pair_cace::refuse_excluded_bonded_neighbors(lmp, atomic_numbers_);
  pair_cace::warn_of_swapped_elements(lmp, atomic_numbers_);
  pair_cace::warn_of_excluded_neighbors(lmp);

  prepare_exchange();
  neighbor->add_request(this, NeighConst::REQ_FULL);
}

// With message passing, on several ranks, every ghost has a row of its own, and between layers the
// values of its owner are asked for.
void PairCACE::prepare_exchange()
{
  const pair_cace::ModelInfo &info = model_->info();
  exchanges_ = info.n_layers > 0 && comm->nprocs > 1;
  if (!exchanges_) return;
  if (info.portable)
    error->all(FLERR, "Pair style cace: expected 1 MPI rank for a portable model with message passing, "
                      "got {}; export it without --portable, or run on one rank with more threads "
                      "(OMP_NUM_THREADS)", comm->nprocs);
  // The buffers of LAMMPS are made after this, for the largest style; hybrid asked ours before.
  comm_forward = comm_reverse = std::max(1, info.values_per_ghost);
  force->pair->comm_forward = std::max(force->pair->comm_forward, comm_forward);
  force->pair->comm_reverse = std::max(force->pair->comm_reverse, comm_reverse);
}

double PairCACE::init_one(int, int)
{
  return model_->info().cutoff;
}

// ---- every step --------------------------------------------------------------------------------

void PairCACE::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);

  number_atoms();
  if (rows_.n_local == 0 && !exchanges_) return;
  try {
    pair_cace::gather_edges(*list, *atom, atomic_numbers_, rows_, model_->info().cutoff, edges_);
    const pair_cace::UseGhostExchange use(exchanges_ ? &exchange_ : nullptr);
    model_->evaluate(edges_, result_);
  } catch (const std::exception &e) {
    error->one(FLERR, "Pair style cace: {}", e.what());
  }
  scatter_forces();
  tally();
}

// With message passing the sender of an edge must be an atom with features. On one rank a ghost
// stands for its owner. On several, or without messages, ghosts get rows of their own.
void PairCACE::number_atoms()
{
  const pair_cace::ModelInfo &info = model_->info();
  rows_.number_local(*atom, atomic_numbers_);
  exchange_.use_rows(rows_.of_atom, std::max(1, info.values_per_ghost));
  if (info.n_layers > 0 && !exchanges_)
    exchange_.owners_to_ghosts(rows_.of_atom);
  else
    rows_.append_ghosts(*atom, atomic_numbers_);
}

int PairCACE::pack_forward_comm(int n, int *list, double *buf, int, int *)
{
  return exchange_.pack_forward(n, list, buf);
}

void PairCACE::unpack_forward_comm(int n, int first, double *buf)
{
  exchange_.unpack_forward(n, first, buf);
}

int PairCACE::pack_reverse_comm(int n, int first, double *buf)
{
  return exchange_.pack_reverse(n, first, buf);
}

void PairCACE::unpack_reverse_comm(int n, int *list, double *buf)
{
  exchange_.unpack_reverse(n, list, buf);
}

void PairCACE::scatter_forces()
{
  const int64_t n = 3 * edges_.n_rows();
  const int n_shares = pair_cace::worthwhile_shares(6 * edges_.n_edges);
  pair_cace::make_room(row_forces_, n_shares * n);
  pair_cace::in_shares(edges_.n_edges, n_shares, [&](int64_t begin, int64_t end, int share) {
    double *forces = row_forces_.data() + share * n;    // of its own: senders are shared
    std::fill(forces, forces + n, 0.0);
    pair_cace::add_edge_forces(result_.edge_gradient.data() + 3 * begin, edges_.senders.data() + begin,
                               edges_.receivers.data() + begin, end - begin, forces);
  });
  double **f = atom->f;
  for (int64_t row = 0; row < edges_.n_rows(); ++row)
    for (int share = 0; share < n_shares; ++share)
      for (int k = 0; k < 3; ++k)
        f[rows_.atoms[row]][k] += energy_unit_ * row_forces_[share * n + 3 * row + k];
}

void PairCACE::tally()
{
  if (eflag_either) {
    for (int row = 0; row < rows_.n_local; ++row) {
      const double energy = energy_unit_ * result_.energies[row];
      if (eflag_global) eng_vdwl += energy;
      if (eflag_atom) eatom[rows_.atoms[row]] += energy;
    }
  }
  if (vflag_either) tally_edge_virials();
}

// W_ab = −Σ r_e,a g_e,b in LAMMPS' order xx yy zz xy xz yz, yx zx zy.
//
// Per atom, half of an edge's virial goes to either end: exact in the sum, a convention atom by atom.
// The virial of nine components (centroid/stress/atom) goes to the sender, which makes the heat flux
// Σ_j W_j·v_j exact without message passing, where g_e = ∂E_i/∂r_e is of the receiver i alone: then
// d/dt Σ_i r_i E_i has the potential part −Σ_e r_e (g_e·v_j) (Fan et al., Phys. Rev. B 92, 094301). With
// message passing g_e holds energies of more atoms, and this is a convention, too.
void PairCACE::tally_edge_virials()
{
  static constexpr int first[9] = {0, 1, 2, 0, 0, 1, 1, 2, 2}, second[9] = {0, 1, 2, 1, 2, 2, 0, 0, 1};
  for (int64_t e = 0; e < edges_.n_edges; ++e) {
    const double *r = &edges_.vectors[3 * e], *g = &result_.edge_gradient[3 * e];
    const int sender = rows_.atoms[edges_.senders[e]], receiver = rows_.atoms[edges_.receivers[e]];
    for (int k = 0; k < 6; ++k) {
      const double w = -energy_unit_ * r[first[k]] * g[second[k]];
      if (vflag_global) virial[k] += w;
      if (vflag_atom) {
        vatom[sender][k] += 0.5 * w;
        vatom[receiver][k] += 0.5 * w;
      }
    }
    if (cvflag_atom)
      for (int k = 0; k < 9; ++k) cvatom[sender][k] -= energy_unit_ * r[first[k]] * g[second[k]];
  }
}

double PairCACE::memory_usage()
{
  const auto bytes = [](const auto &values) {
    return static_cast<double>(values.capacity() * sizeof(values[0]));
  };
  return Pair::memory_usage() + bytes(rows_.of_atom) + bytes(rows_.atoms) + bytes(edges_.species) +
      bytes(edges_.senders) + bytes(edges_.receivers) + bytes(edges_.vectors) +
      bytes(edges_.first_of_row) +
      bytes(result_.energies) + bytes(result_.edge_gradient) + bytes(row_forces_);
}
