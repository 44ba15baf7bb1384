#include "computes.h"

#include "pair_cace.h"

#include "atom.h"
#include "error.h"
#include "memory.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cstring>

using namespace LAMMPS_NS;

ComputeCACE::~ComputeCACE()
{
  memory->destroy(vector_atom);
  memory->destroy(array_atom);
}

void ComputeCACE::compute_peratom()
{
  invoked_peratom = update->ntimestep;
  const int n_columns = std::max(size_peratom_cols, 1);
  if (atom->nmax > n_max_) {
    n_max_ = atom->nmax;
    memory->destroy(vector_atom);
    memory->destroy(array_atom);
    if (size_peratom_cols == 0)
      memory->create(vector_atom, n_max_, "cace:vector_atom");
    else
      memory->create(array_atom, n_max_, size_peratom_cols, "cace:array_atom");
  }
  PairCACE &cace = pair();
  find_values(cace);    // numbers the atoms, too
  std::vector<int> rows;
  for (int row = 0; row < cace.n_local_rows(); ++row)
    if (atom->mask[cace.atom_of_row(row)] & groupbit) rows.push_back(row);
  prepare(rows);

  double *table = size_peratom_cols == 0 ? vector_atom : atom->nlocal > 0 ? array_atom[0] : nullptr;
  std::fill_n(table, static_cast<int64_t>(atom->nlocal) * n_columns, 0.0);
  for (int row : rows) copy_row(row, n_columns, table + int64_t(cace.atom_of_row(row)) * n_columns);
}

void ComputeCACE::copy_row(int row, int n_columns, double *to) const
{
  std::copy_n(&values_[int64_t(row) * n_columns], n_columns, to);
}

double ComputeCACE::memory_usage()
{
  return 8.0 * (double(n_max_) * std::max(size_peratom_cols, 1) + values_.capacity());
}

// ---- cace/descriptors --------------------------------------------------------------------------

ComputeCACEDescriptors::ComputeCACEDescriptors(LAMMPS *lammps, int narg, char **arg) : ComputeCACE(lammps, narg, arg)
{
  n_descriptors_ = pair().n_descriptors();
  if (narg != 3 && (narg != 5 || std::strcmp(arg[3], "components") != 0))
    error->all(FLERR,
               "Compute cace/descriptors: expected nothing or 'components N' behind the style, got "
               "'{}'",
               arg[3]);
  if (narg == 5) n_components_ = utils::inumeric(FLERR, arg[4], false, lmp);
  if (narg == 5 && (n_components_ < 1 || n_components_ > n_descriptors_))
    error->all(FLERR, "Compute cace/descriptors: expected 1 to {} components, got {}", n_descriptors_, n_components_);
  size_peratom_cols = n_components_ > 0 ? n_components_ : n_descriptors_;
}

PairCACE &ComputeCACEDescriptors::pair() const
{
  return PairCACE::with_models(lmp, "Compute cace/descriptors");
}

void ComputeCACEDescriptors::init()
{
  if (pair().n_descriptors() != n_descriptors_)
    error->all(FLERR,
               "Compute cace/descriptors: expected a model with {} descriptors as before, got one with {}; "
               "give the compute again after pair_coeff",
               n_descriptors_, pair().n_descriptors());
  if (pair().id_of_models() != id_of_models_) components_.reset();
  id_of_models_ = pair().id_of_models();
}

void ComputeCACEDescriptors::find_values(PairCACE &cace)
{
  cace.describe(values_);
}

// Components are those of the first step that is asked for and has atoms; kept, so that all steps are seen from the
// same side.
void ComputeCACEDescriptors::prepare(const std::vector<int> &rows)
{
  if (n_components_ == 0 || components_) return;
  components_ =
      pair_cace::principal_components(values_, rows, n_descriptors_, n_components_, [&](double *values, int64_t n) {
        MPI_Allreduce(MPI_IN_PLACE, values, static_cast<int>(n), MPI_DOUBLE, MPI_SUM, world);
      });
}

void ComputeCACEDescriptors::copy_row(int row, int n_columns, double *to) const
{
  if (n_components_ == 0) return ComputeCACE::copy_row(row, n_columns, to);
  for (int k = 0; k < n_descriptors_; ++k)
    for (int c = 0; c < n_components_; ++c)
      to[c] += (values_[int64_t(row) * n_descriptors_ + k] - components_->center[k]) *
               components_->directions[int64_t(k) * n_components_ + c];
}

// ---- cace/atom ---------------------------------------------------------------------------------

ComputeCACEOutputs::ComputeCACEOutputs(LAMMPS *lammps, int narg, char **arg)
    : ComputeCACE(lammps, narg, arg), names_(arg + std::min(narg, 3), arg + narg)
{
  if (names_.empty())
    error->all(FLERR,
               "Compute cace/atom: expected the name of an output of the model behind the style, got none; it has {}",
               utils::join_words(pair().outputs(), " "));
  pair();
  size_peratom_cols = names_.size() == 1 ? 0 : static_cast<int>(names_.size());
}

PairCACE &ComputeCACEOutputs::pair() const
{
  PairCACE &found = PairCACE::with_models(lmp, "Compute cace/atom");
  const std::vector<std::string> &known = found.outputs();
  for (const std::string &name : names_)
    if (std::find(known.begin(), known.end(), name) == known.end())
      error->all(FLERR, "Compute cace/atom: expected an output of the model ({}), got '{}'{}",
                 known.empty() ? "it has none" : utils::join_words(known, " "), name,
                 known.empty() ? "; train one with 'outputs' in the section 'model' of the config" : "");
  return found;
}

void ComputeCACEOutputs::find_values(PairCACE &cace)
{
  cace.predict(names_, values_);
}
