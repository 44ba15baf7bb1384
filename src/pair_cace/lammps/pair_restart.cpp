// What a restart file keeps of pair_style cace: its keywords, and the files and elements of pair_coeff. The
// weights stay in their files.

#include "pair_cace.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "utils.h"

#include <utility>

using namespace LAMMPS_NS;

namespace {

void write_words(FILE *file, const std::vector<std::string> &words)
{
  const int count = static_cast<int>(words.size());
  std::fwrite(&count, sizeof count, 1, file);
  for (const std::string &word : words) {
    const int length = static_cast<int>(word.size());
    std::fwrite(&length, sizeof length, 1, file);
    std::fwrite(word.data(), 1, length, file);
  }
}

// The first rank reads; all have it.
void read_bytes(LAMMPS *lmp, FILE *file, void *to, int n)
{
  if (lmp->comm->me == 0) utils::sfread(FLERR, to, 1, n, file, nullptr, lmp->error);
  MPI_Bcast(to, n, MPI_CHAR, 0, lmp->world);
}

int read_number(LAMMPS *lmp, FILE *file)
{
  int value = 0;
  read_bytes(lmp, file, &value, sizeof value);
  return value;
}

std::vector<std::string> read_words(LAMMPS *lmp, FILE *file)
{
  std::vector<std::string> words(read_number(lmp, file));
  for (std::string &word : words) {
    word.resize(read_number(lmp, file));
    read_bytes(lmp, file, word.data(), static_cast<int>(word.size()));
  }
  return words;
}

}    // namespace

void PairCACE::write_restart(FILE *file)
{
  write_restart_settings(file);
  write_words(file, coefficients_.paths);
  write_words(file, coefficients_.elements);
}

void PairCACE::write_restart_settings(FILE *file)
{
  write_words(file, pair_cace::words_of(settings_));
}

void PairCACE::read_restart_settings(FILE *file)
{
  std::vector<std::string> keywords = read_words(lmp, file);
  settings(static_cast<int>(keywords.size()), pair_cace::pointers(keywords).data());
}

void PairCACE::read_restart(FILE *file)
{
  read_restart_settings(file);
  pair_cace::PairCoefficients coefficients;
  coefficients.paths = read_words(lmp, file);
  coefficients.elements = read_words(lmp, file);
  if (!allocated) allocate();

  // The files may have moved, or the device may not be here; what else the file holds is of use even so.
  std::string problem;
  auto models = pair_cace::load_models(lmp, coefficients.paths, settings_.device, problem);
  if (problem.empty()) return use_models(coefficients, std::move(models));
  if (comm->me == 0)
    error->warning(FLERR,
                   "Pair style cace{}; the models of the restart file ({}) are not in use: give pair_coeff "
                   "again, after pair_style if its keywords are to change",
                   problem, utils::join_words(coefficients.paths, " "));
}
