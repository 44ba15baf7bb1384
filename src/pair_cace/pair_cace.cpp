#include "pair_cace.h"

#include "chemical_symbols.h"
#include "ops/edge_forces.h"
#include "ops/threads.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"
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

PairCACE::PairCACE(LAMMPS *lmp) : Pair(lmp)
{
  one_coeff = 1;
  manybody_flag = 1;
  single_enable = 0;
  restartinfo = 0;
  unit_convert_flag = utils::get_supported_conversions(utils::ENERGY);
  no_virial_fdotr_compute = 1;    // the virial comes from the edges
  centroidstressflag = CENTROID_NOTAVAIL;
  comm_forward = 1;
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
  if (std::strcmp(update->unit_style, "metal") == 0)
    energy_unit_ = 1.0;
  else if (std::strcmp(update->unit_style, "real") == 0)
    energy_unit_ = utils::get_conversion_factor(utils::ENERGY, utils::METAL2REAL);
  else
    error->all(FLERR, "Pair style cace: expected 'units metal' or 'units real', got 'units {}'{}",
               update->unit_style,
               std::strcmp(update->unit_style, "lj") == 0 ? " (the default of LAMMPS)" : "");

  if (!force->newton_pair)
    error->all(FLERR, "Pair style cace: expected 'newton on', got newton off for pair forces; "
                      "remove 'newton off' from the input");
  if (atom->tag_enable == 0)
    error->all(FLERR, "Pair style cace: expected atom IDs, got 'atom_modify id no'");

  const int n_layers = model_->info().n_layers;
  if (n_layers > 0 && comm->nprocs > 1)
    error->all(FLERR, "Pair style cace: expected 1 MPI rank for a model with message passing "
                      "({} layer{}), got {} ranks; run on one rank, with more threads if you like "
                      "(OMP_NUM_THREADS), or use a model with n_layers 0",
               n_layers, n_layers == 1 ? "" : "s", comm->nprocs);
  refuse_excluded_bonded_neighbors();
  warn_of_swapped_elements();
  if (neighbor->nex_type + neighbor->nex_group + neighbor->nex_mol > 0 && comm->me == 0)
    error->warning(FLERR, "Pair style cace: neigh_modify exclude hides atoms from the potential, "
                          "which changes the energies of all their neighbors, not of the pair alone");

  neighbor->add_request(this, NeighConst::REQ_FULL);
}

// LAMMPS drops bonded pairs whose special_bonds factors are zero from the neighbour list (unless
// there is a kspace style); the model would silently miss the atoms that matter most.
void PairCACE::refuse_excluded_bonded_neighbors()
{
  if (atom->molecular != Atom::MOLECULAR || force->kspace) return;
  int mine = 0, left_out = 0;    // k of a class of 1-(k+1) neighbours that is left out
  for (int k = 3; k >= 1; --k) {
    if (force->special_lj[k] != 0.0 || force->special_coul[k] != 0.0) continue;
    for (int i = 0; i < atom->nlocal; ++i) {
      const int *count = atom->nspecial[i];    // cumulative over the classes
      const int in_class = count[k - 1] - (k > 1 ? count[k - 2] : 0);
      if (atomic_numbers_[atom->type[i]] != 0 && in_class > 0) mine = k;
    }
  }
  MPI_Allreduce(&mine, &left_out, 1, MPI_INT, MPI_MAX, world);
  if (left_out > 0)
    error->all(FLERR, "Pair style cace: expected 'special_bonds lj/coul 1.0 1.0 1.0' for atoms with "
                      "bonds, got a factor of 0 for 1-{} neighbors, which removes them from the "
                      "neighbor list", left_out + 1);
}

// Elements in the wrong order give a potential that runs, and nonsense. Heavier atoms have higher
// atomic numbers, but for neighbours such as Ar and K, which differ by 2 %.
void PairCACE::warn_of_swapped_elements()
{
  if (!atom->mass || comm->me != 0) return;
  for (int a = 1; a <= atom->ntypes; ++a)
    for (int b = 1; b <= atom->ntypes; ++b)
      if (atomic_numbers_[a] != 0 && atomic_numbers_[a] < atomic_numbers_[b] &&
          atom->mass[a] > 1.1 * atom->mass[b])
        error->warning(FLERR, "Pair style cace: atom type {} is given as {} and has mass {}, type {} "
                              "is given as {} and has mass {}; check the order of the elements in "
                              "pair_coeff",
                       a, pair_cace::chemical_symbols[atomic_numbers_[a] - 1], atom->mass[a], b,
                       pair_cace::chemical_symbols[atomic_numbers_[b] - 1], atom->mass[b]);
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
  if (rows_.n_local == 0) return;
  try {
    pair_cace::gather_edges(*list, *atom, atomic_numbers_, rows_, model_->info().cutoff, edges_);
    model_->evaluate(edges_, result_);
  } catch (const std::exception &e) {
    error->one(FLERR, "Pair style cace: {}", e.what());
  }
  scatter_forces();
  tally();
}

// With message passing the sender of an edge must be an atom with features, so a ghost stands for
// its owner (on one rank, which init_style has made sure of). Without, ghosts get their own rows.
void PairCACE::number_atoms()
{
  rows_.number_local(*atom, atomic_numbers_);
  if (model_->info().n_layers > 0)
    comm->forward_comm(this);
  else
    rows_.append_ghosts(*atom, atomic_numbers_);
}

int PairCACE::pack_forward_comm(int n, int *list, double *buf, int, int *)
{
  for (int k = 0; k < n; ++k) buf[k] = rows_.of_atom[list[k]];
  return n;
}

void PairCACE::unpack_forward_comm(int n, int first, double *buf)
{
  for (int k = 0; k < n; ++k) rows_.of_atom[first + k] = static_cast<int>(buf[k]);
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

// W = −Σ r_e ⊗ g_e in LAMMPS' order xx yy zz xy xz yz. Half of an edge's virial goes to either
// atom: exact in the sum, a convention atom by atom.
void PairCACE::tally_edge_virials()
{
  static constexpr int first[6] = {0, 1, 2, 0, 0, 1}, second[6] = {0, 1, 2, 1, 2, 2};
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
