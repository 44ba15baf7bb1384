#include "compute_descriptors.h"

#include "pair_cace.h"
#include "exported/principal_components.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "memory.h"
#include "update.h"
#include "utils.h"

#include <cstring>

using namespace LAMMPS_NS;

ComputeCACEDescriptors::ComputeCACEDescriptors(LAMMPS *lammps, int narg, char **arg) : Compute(lammps, narg, arg)
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
  peratom_flag = 1;
  size_peratom_cols = n_components_ > 0 ? n_components_ : n_descriptors_;
}

ComputeCACEDescriptors::~ComputeCACEDescriptors()
{
  memory->destroy(array_atom);
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
  if (pair().id_of_models() != id_of_models_) directions_.clear();
  id_of_models_ = pair().id_of_models();
}

void ComputeCACEDescriptors::compute_peratom()
{
  invoked_peratom = update->ntimestep;
  if (atom->nmax > n_max_ || !array_atom) {
    n_max_ = atom->nmax;
    memory->destroy(array_atom);
    memory->create(array_atom, n_max_, size_peratom_cols, "cace/descriptors:array_atom");
  }
  PairCACE &cace = pair();
  cace.describe(descriptors_);
  const std::vector<int> rows = rows_in_group(cace);
  if (n_components_ > 0 && directions_.empty()) find_directions(rows);

  for (int i = 0; i < atom->nlocal; ++i)
    for (int k = 0; k < size_peratom_cols; ++k) array_atom[i][k] = 0.0;
  for (int row : rows) {
    const double *from = &descriptors_[int64_t(row) * n_descriptors_];
    double *to = array_atom[cace.atom_of_row(row)];
    if (n_components_ == 0) {
      std::memcpy(to, from, n_descriptors_ * sizeof(double));
      continue;
    }
    for (int k = 0; k < n_descriptors_; ++k)
      for (int c = 0; c < n_components_; ++c)
        to[c] += (from[k] - center_[k]) * directions_[int64_t(k) * n_components_ + c];
  }
}

// Of the first step that is asked for and has atoms; kept, so that all steps are seen from the same side.
void ComputeCACEDescriptors::find_directions(const std::vector<int> &rows)
{
  int64_t n_rows = rows.size();
  MPI_Allreduce(MPI_IN_PLACE, &n_rows, 1, MPI_INT64_T, MPI_SUM, world);
  if (n_rows == 0) return;
  auto found = pair_cace::principal_components(
      descriptors_, rows, n_descriptors_, n_components_, [&](double *values, int64_t n) {
        MPI_Allreduce(MPI_IN_PLACE, values, static_cast<int>(n), MPI_DOUBLE, MPI_SUM, world);
      });
  center_ = std::move(found.center);
  directions_ = std::move(found.directions);
}

std::vector<int> ComputeCACEDescriptors::rows_in_group(const PairCACE &cace) const
{
  std::vector<int> rows;
  for (int row = 0; row < cace.n_local_rows(); ++row)
    if (atom->mask[cace.atom_of_row(row)] & groupbit) rows.push_back(row);
  return rows;
}

double ComputeCACEDescriptors::memory_usage()
{
  return 8.0 * (double(n_max_) * size_peratom_cols + descriptors_.capacity() + directions_.capacity());
}
