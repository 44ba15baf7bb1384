#include "coefficients.h"

#include "chemical_symbols.h"
#include "ops/cuda/cuda_kernels.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "universe.h"
#include "utils.h"

#include <algorithm>
#include <cstdlib>
#include <exception>

namespace pair_cace {

using namespace LAMMPS_NS;

std::vector<char *> pointers(std::vector<std::string> &words)
{
  std::vector<char *> result;
  for (std::string &word : words) result.push_back(word.data());
  return result;
}

PairCoefficients read_coefficients(LAMMPS *lmp, int narg, char **arg)
{
  const std::vector<std::string> words(arg, arg + narg);
  auto first_element = std::find_if(words.begin() + std::min(narg, 1), words.end(),
                                    [](const std::string &word) { return word == "NULL" || atomic_number(word) > 0; });
  if (narg == 1 + lmp->atom->ntypes) first_element = words.begin() + 1;    // right or wrong ones
  PairCoefficients found{{words.begin(), first_element}, {first_element, words.end()}};
  if (static_cast<int>(found.elements.size()) != lmp->atom->ntypes)
    lmp->error->all(FLERR,
                    "Pair style cace: expected 'pair_coeff * * model.pt' (or several models) "
                    "followed by one element (or NULL) for each of {} atom types, got {}",
                    lmp->atom->ntypes,
                    narg == 0
                        ? "no file name"
                        : fmt::format("{} after {}", found.elements.size(),
                                      found.paths.size() == 1 ? "the file name"
                                                              : fmt::format("{} file names ({})", found.paths.size(),
                                                                            utils::join_words(found.paths, " "))));
  return found;
}

namespace {

// As the program that started the ranks says. Without a word from it there is one machine, or they are taken to
// be spread evenly.
int rank_on_this_machine(LAMMPS *lmp)
{
  for (const char *name : {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "MV2_COMM_WORLD_LOCAL_RANK",
                           "PALS_LOCAL_RANKID", "FLUX_TASK_LOCAL_ID", "SLURM_LOCALID"})
    if (const char *value = std::getenv(name); value && utils::is_integer(value)) return std::max(0, std::atoi(value));
  return lmp->universe->me;
}

}    // namespace

std::vector<std::unique_ptr<ExportedModel>> load_models(LAMMPS *lmp, const std::vector<std::string> &paths,
                                                        DeviceChoice device, std::string &problem)
{
  std::vector<std::unique_ptr<ExportedModel>> models;
  const int rank_on_machine = rank_on_this_machine(lmp);
  problem.clear();
  try {
    for (const std::string &path : paths)
      models.push_back(std::make_unique<ExportedModel>(path, device, rank_on_machine));
  } catch (const std::exception &e) {
    problem = e.what();
  }

  // A file or a device may be missing on one node only. All ranks stop for it, and the first speaks:
  // what a rank prints that ends the run by itself may be lost.
  const int me = lmp->comm->me, n_ranks = lmp->comm->nprocs;
  const int failed = problem.empty() ? 0 : 1, mine = failed ? me : n_ranks;
  int n_failed = 0, first = 0;
  MPI_Allreduce(&failed, &n_failed, 1, MPI_INT, MPI_SUM, lmp->world);
  if (n_failed == 0) return models;
  MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, lmp->world);
  int length = static_cast<int>(problem.size());
  MPI_Bcast(&length, 1, MPI_INT, first, lmp->world);
  problem.resize(length);
  MPI_Bcast(problem.data(), length, MPI_CHAR, first, lmp->world);
  problem = ": " + problem;
  if (n_failed < n_ranks)
    problem = ", on " + std::to_string(n_failed) + " of " + std::to_string(n_ranks) + " MPI ranks" + problem;
  return {};
}

namespace {

bool lies_between(const std::string &symbol, const std::vector<std::string> &trained)
{
  const auto [low, high] = std::minmax_element(trained.begin(), trained.end(), [](const auto &a, const auto &b) {
    return atomic_number(a) < atomic_number(b);
  });
  const int number = atomic_number(symbol);
  return atomic_number(*low) < number && number < atomic_number(*high);
}

}    // namespace

std::vector<int> atomic_numbers_of_types(LAMMPS *lmp, const PairCoefficients &coefficients,
                                         const std::vector<std::unique_ptr<ExportedModel>> &models, bool extrapolate)
{
  const std::vector<std::string> &trained = models[0]->info().elements;
  for (std::size_t k = 1; k < models.size(); ++k)
    if (models[k]->info().elements != trained)
      lmp->error->all(FLERR,
                      "Pair style cace: expected models of the same elements in one committee, "
                      "got {} in {} and {} in {}",
                      utils::join_words(trained, " "), coefficients.paths[0],
                      utils::join_words(models[k]->info().elements, " "), coefficients.paths[k]);

  std::vector<int> atomic_numbers(coefficients.elements.size() + 1, 0);
  for (std::size_t type = 1; type < atomic_numbers.size(); ++type) {
    const std::string &symbol = coefficients.elements[type - 1];
    if (symbol == "NULL") continue;
    if (std::find(trained.begin(), trained.end(), symbol) == trained.end()) {
      const bool could = lies_between(symbol, trained);
      if (!could || !extrapolate)
        lmp->error->all(FLERR,
                        "Pair style cace: expected one of the elements of {} ({}) or NULL for "
                        "atom type {}, got '{}'{}",
                        coefficients.paths[0], utils::join_words(trained, " "), type, symbol,
                        could ? "; 'pair_style cace extrapolate yes' interpolates it between them, "
                                "without any training"
                              : "");
      if (lmp->comm->me == 0)
        lmp->error->warning(FLERR,
                            "Pair style cace: {} of atom type {} was never trained; its "
                            "embedding and energy are interpolated between {}",
                            symbol, type, utils::join_words(trained, " "));
    }
    atomic_numbers[type] = atomic_number(symbol);
  }
  if (std::count(atomic_numbers.begin(), atomic_numbers.end(), 0) == std::ssize(atomic_numbers))
    lmp->error->all(FLERR, "Pair style cace: expected an element for at least one atom type, got NULL "
                           "for all of them");
  return atomic_numbers;
}

void log_models(LAMMPS *lmp, const PairCoefficients &coefficients,
                const std::vector<std::unique_ptr<ExportedModel>> &models)
{
  if (lmp->comm->me != 0) return;
  const auto plural = [](int n) { return n == 1 ? "" : "s"; };
  std::string text;
  for (std::size_t k = 0; k < models.size(); ++k) {
    const ModelInfo &info = models[k]->info();
    text += fmt::format("Pair style cace: {} (elements {}; cutoff {} Angstrom; {} message-passing "
                        "layer{}; {}{}) on {}, {} thread{} per MPI rank\n",
                        coefficients.paths[k], utils::join_words(info.elements, " "), info.cutoff, info.n_layers,
                        plural(info.n_layers), info.dtype, info.portable ? ", portable: slow" : "", info.device,
                        info.threads, plural(info.threads));
    if (!info.trained_on.is_known())
      text += "  its file does not say what it was trained on: nothing will be said of atoms closer than there\n";
    if (info.values_per_ghost > 0 && lmp->comm->nprocs > 1)
      text += fmt::format("  {} MPI ranks; between layers, up to {} values go to every ghost atom and "
                          "as many come back\n",
                          lmp->comm->nprocs, info.values_per_ghost);
  }
  for (std::size_t type = 1; type <= coefficients.elements.size(); ++type)
    text += fmt::format("{}{} {}", type == 1 ? "  atom types: " : ", ", type, coefficients.elements[type - 1]);
  utils::logmesg(lmp, text + "\n");
  if (!models.empty() && models[0]->info().is_on_gpu && !has_cuda_kernels())
    lmp->error->warning(FLERR,
                        "Pair style cace: built without nvcc, it runs models on a GPU as plain torch, many times "
                        "slower than it could; build it again with nvcc on the PATH, or use 'device cpu'");
}

}    // namespace pair_cace
