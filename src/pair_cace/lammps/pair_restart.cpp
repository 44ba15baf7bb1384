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

// The first rank reads; all have the words.
class Reader {
 public:
  Reader(LAMMPS *lmp, FILE *file) : lmp_(lmp), file_(file) {}

  std::vector<std::string> words()
  {
    std::vector<std::string> words(number());
    for (std::string &word : words) {
      word.resize(number());
      bytes(word.data(), static_cast<int>(word.size()));
    }
    return words;
  }

 private:
  int number()
  {
    int value = 0;
    bytes(&value, sizeof value);
    return value;
  }

  void bytes(void *to, int n)
  {
    if (lmp_->comm->me == 0) utils::sfread(FLERR, to, 1, n, file_, nullptr, lmp_->error);
    MPI_Bcast(to, n, MPI_CHAR, 0, lmp_->world);
  }

  LAMMPS *lmp_;
  FILE *file_;
};

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
  std::vector<std::string> keywords = Reader(lmp, file).words();
  settings(static_cast<int>(keywords.size()), pair_cace::pointers(keywords).data());
}

void PairCACE::read_restart(FILE *file)
{
  read_restart_settings(file);
  Reader reader(lmp, file);
  pair_cace::PairCoefficients coefficients;
  coefficients.paths = reader.words();
  coefficients.elements = reader.words();
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
