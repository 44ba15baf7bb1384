#include "compute_outputs.h"

#include "pair_cace.h"

#include "atom.h"
#include "error.h"
#include "memory.h"
#include "update.h"

#include <algorithm>

using namespace LAMMPS_NS;

ComputeCACEOutputs::ComputeCACEOutputs(LAMMPS *lammps, int narg, char **arg)
    : Compute(lammps, narg, arg), names_(arg + std::min(narg, 3), arg + narg)
{
  if (names_.empty())
    error->all(FLERR,
               "Compute cace/atom: expected the name of an output of the model behind the style, got none; it has {}",
               pair_cace::joined(pair().outputs()));
  pair();
  peratom_flag = 1;
  size_peratom_cols = names_.size() == 1 ? 0 : static_cast<int>(names_.size());
}

ComputeCACEOutputs::~ComputeCACEOutputs()
{
  memory->destroy(vector_atom);
  memory->destroy(array_atom);
}

PairCACE &ComputeCACEOutputs::pair() const
{
  PairCACE &found = PairCACE::with_models(lmp, "Compute cace/atom");
  const std::vector<std::string> &known = found.outputs();
  for (const std::string &name : names_)
    if (std::find(known.begin(), known.end(), name) == known.end())
      error->all(FLERR, "Compute cace/atom: expected an output of the model ({}), got '{}'{}",
                 known.empty() ? "it has none" : pair_cace::joined(known), name,
                 known.empty() ? "; train one with 'outputs' in the section 'model' of the config" : "");
  return found;
}

void ComputeCACEOutputs::init()
{
  pair();    // after another pair_coeff, names may be missing
}

void ComputeCACEOutputs::make_room()
{
  if (atom->nmax <= n_max_) return;
  n_max_ = atom->nmax;
  memory->destroy(vector_atom);
  memory->destroy(array_atom);
  if (size_peratom_cols == 0)
    memory->create(vector_atom, n_max_, "cace/atom:vector_atom");
  else
    memory->create(array_atom, n_max_, size_peratom_cols, "cace/atom:array_atom");
}

void ComputeCACEOutputs::compute_peratom()
{
  invoked_peratom = update->ntimestep;
  make_room();
  PairCACE &cace = pair();
  cace.predict(names_, values_);
  const int width = static_cast<int>(names_.size());
  double *table = size_peratom_cols == 0 ? vector_atom : atom->nlocal > 0 ? array_atom[0] : nullptr;
  std::fill_n(table, static_cast<int64_t>(atom->nlocal) * width, 0.0);
  for (int row = 0; row < cace.n_local_rows(); ++row) {
    const int i = cace.atom_of_row(row);
    if (atom->mask[i] & groupbit) std::copy_n(&values_[int64_t(row) * width], width, table + int64_t(i) * width);
  }
}

double ComputeCACEOutputs::memory_usage()
{
  return 8.0 * (double(n_max_) * std::max(size_peratom_cols, 1) + values_.capacity());
}
