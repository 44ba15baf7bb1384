#include "pair_cace.h"

#include "input_checks.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neighbor.h"
#include "utils.h"

#include <algorithm>
#include <utility>

using namespace LAMMPS_NS;

PairCACE::PairCACE(LAMMPS *lammps) : Pair(lammps), exchange_(lammps, this), outside_(lammps)
{
  one_coeff = 1;
  manybody_flag = 1;
  single_enable = 0;
  restartinfo = 1;
  unit_convert_flag = utils::get_supported_conversions(utils::ENERGY);
  no_virial_fdotr_compute = 1;    // the virial comes from the edges
  centroidstressflag = CENTROID_AVAIL;
  comm_forward = 1;    // the row of an owner
}

PairCACE::~PairCACE()
{
  pvector = nullptr;    // ours, not LAMMPS'
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

PairCACE &PairCACE::with_models(LAMMPS *lammps, const char *asks)
{
  Force &force = *lammps->force;
  auto *found = dynamic_cast<PairCACE *>(force.pair_match("cace", 1));
  if (!found || found->models_.empty())
    lammps->error->all(FLERR,
                       "{}: expected one pair style cace with its pair_coeff before this command, got pair style {}{}",
                       asks, force.pair_style ? force.pair_style : "none", found ? " without pair_coeff" : "");
  return *found;
}

// ---- input script ------------------------------------------------------------------------------

void PairCACE::settings(int narg, char **arg)
{
  const pair_cace::PairSettings before = settings_;
  settings_ = pair_cace::read_settings(lmp, narg, arg);

  // The models are on the device that was asked for before; LAMMPS will ask for pair_coeff again.
  if (allocated && (settings_.device != before.device || settings_.extrapolate != before.extrapolate))
    for (int i = 1; i <= atom->ntypes; ++i)
      for (int j = 1; j <= atom->ntypes; ++j) setflag[i][j] = 0;
}

void PairCACE::coeff(int narg, char **arg)
{
  // LAMMPS itself has seen to the two asterisks, because of one_coeff. Nothing is replaced before
  // everything has been checked: a program that catches the error keeps the potential it had.
  const auto coefficients = pair_cace::read_coefficients(lmp, narg - 2, arg + 2);
  std::string problem;
  auto models = pair_cace::load_models(lmp, coefficients.paths, settings_.device, problem);
  if (!problem.empty()) error->all(FLERR, "Pair style cace{}", problem);
  use_models(coefficients, std::move(models));
}

void PairCACE::use_models(const pair_cace::PairCoefficients &coefficients,
                          std::vector<std::unique_ptr<pair_cace::ExportedModel>> models)
{
  static int64_t n_used = 0;
  auto atomic_numbers = pair_cace::atomic_numbers_of_types(lmp, coefficients, models, settings_.extrapolate);
  own_neighbors_.clear();
  models_ = std::move(models);
  id_of_models_ = ++n_used;
  atomic_numbers_ = std::move(atomic_numbers);
  coefficients_ = coefficients;
  if (!allocated) allocate();
  map_element2type(atom->ntypes, pair_cace::pointers(coefficients_.elements).data());
  outputs_.clear();
  for (const std::string &name : models_[0]->info().outputs) {
    const auto has = [&](const std::string &known) { return known == name; };
    const bool all_have = std::all_of(models_.begin(), models_.begin() + n_driving(), [&](const auto &model) {
      return std::any_of(model->info().outputs.begin(), model->info().outputs.end(), has);
    });
    if (all_have) outputs_.push_back(name);
  }
  nextra = models_.size() > 1 ? static_cast<int>(pvector_.size()) : 0;
  pvector_ = {};
  pvector = pvector_.data();    // also for a `compute pair` that was made for a committee before
  pair_cace::log_models(lmp, coefficients_, models_);
}

// Of a committee, the models that forces are the mean of.
int PairCACE::n_driving() const
{
  return settings_.first_drives ? 1 : static_cast<int>(models_.size());
}

// ---- before a run ------------------------------------------------------------------------------

void PairCACE::init_style()
{
  energy_unit_ = pair_cace::energy_unit(lmp);
  if (settings_.deviation_every > 0 && models_.size() < 2)
    error->all(FLERR,
               "Pair style cace: expected several models in pair_coeff because of 'deviation', "
               "got {}",
               models_.size());
  times_ = {};
  exchange_seconds_before_ = exchange_.seconds();
  if (!force->newton_pair)
    error->all(FLERR, "Pair style cace: expected 'newton on', got newton off for pair forces; "
                      "remove 'newton off' from the input, or the package that switches it off (-sf gpu; "
                      "with KOKKOS, give -pk kokkos newton on)");
  if (atom->tag_enable == 0) error->all(FLERR, "Pair style cace: expected atom IDs, got 'atom_modify id no'");

  pair_cace::warn_of_swapped_elements(lmp, atomic_numbers_);
  pair_cace::warn_of_another_mpi(lmp);
  pair_cace::warn_of_excluded_neighbors(lmp);

  prepare_exchange();
  choose_neighbors();
  watch_outside();
  // A list that is never built still says what hybrid styles take away.
  neighbor->add_request(this, own_neighbors_.empty() ? NeighConst::REQ_FULL
                                                     : NeighConst::REQ_FULL | NeighConst::REQ_OCCASIONAL);
}

// With message passing, on several ranks, every ghost has a row of its own, and between layers the
// values of its owner are asked for.
void PairCACE::prepare_exchange()
{
  int width = 1;    // the row of an owner
  for (const auto &model : models_) {
    const pair_cace::ModelInfo &info = model->info();
    if (info.n_layers == 0 || comm->nprocs == 1) continue;
    if (info.portable)
      error->all(FLERR,
                 "Pair style cace: expected 1 MPI rank for a portable model with message passing, "
                 "got {}; export it without --portable, or run on one rank with more threads "
                 "(OMP_NUM_THREADS)",
                 comm->nprocs);
    width = std::max(width, info.values_per_ghost);
  }
  if (models_.size() > 1) width = std::max(width, 3 * static_cast<int>(models_.size()));
  // The buffers of LAMMPS are made after this, for the largest style; hybrid asked ours before.
  comm_forward = comm_reverse = width;
  force->pair->comm_forward = std::max(force->pair->comm_forward, comm_forward);
  force->pair->comm_reverse = std::max(force->pair->comm_reverse, comm_reverse);
}

// The edges of the first model are looked at, with what all models that drive the run know.
void PairCACE::watch_outside()
{
  std::vector<const pair_cace::TrainingExtent *> extents;
  for (const auto &model : models_) {
    if (settings_.first_drives && !extents.empty()) break;
    extents.push_back(&model->info().trained_on);
  }
  const pair_cace::TrainingExtent common = pair_cace::common_extent(extents);
  if (settings_.outside == pair_cace::OutsideChoice::stop && !common.is_known())
    error->all(FLERR,
               "Pair style cace: expected a model that says what it was trained on because of 'outside stop', "
               "but {} does not; train or fine-tune it with this version of pair_cace and export it again, "
               "or use 'outside warn'",
               utils::join_words(coefficients_.paths, " "));
  outside_.start_run(settings_.outside, common, atomic_numbers_, models_.empty() ? 0.0 : models_[0]->info().cutoff);
  if (!own_neighbors_.empty()) own_neighbors_[0]->watch(outside_.limits());
}

double PairCACE::init_one(int, int)
{
  double cutoff = 0.0;
  for (const auto &model : models_) cutoff = std::max(cutoff, model->info().cutoff);
  return cutoff;
}

// ---- after a run -------------------------------------------------------------------------------

void PairCACE::finish()
{
  double seconds[4] = {times_.edges, times_.model, exchange_.seconds() - exchange_seconds_before_, times_.forces};
  outside_.summarize();
  MPI_Allreduce(MPI_IN_PLACE, seconds, 4, MPI_DOUBLE, MPI_SUM, world);
  const double total = seconds[0] + seconds[1] + seconds[2] + seconds[3];
  if (comm->me != 0 || total == 0.0) return;
  utils::logmesg(lmp,
                 "Pair style cace: {:.1f} % of its time in edges, {:.1f} % in the model, {:.1f} % in "
                 "messages between ranks, {:.1f} % in forces\n",
                 100.0 * seconds[0] / total, 100.0 * seconds[1] / total, 100.0 * seconds[2] / total,
                 100.0 * seconds[3] / total);
}

double PairCACE::memory_usage()
{
  const auto bytes = [](const auto &values) { return static_cast<double>(values.capacity() * sizeof(values[0])); };
  return Pair::memory_usage() + bytes(rows_.of_atom) + bytes(rows_.atoms) + bytes(edges_.species) +
         bytes(edges_.senders) + bytes(edges_.receivers) + bytes(edges_.vectors) + bytes(edges_.first_of_row) +
         bytes(result_.energies) + bytes(result_.edge_gradient) + bytes(row_forces_);
}
