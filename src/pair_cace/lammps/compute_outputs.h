// compute cace/atom: what a model predicts of every atom besides its energy, such as charges, by name.
#ifndef LMP_COMPUTE_CACE_OUTPUTS_H
#define LMP_COMPUTE_CACE_OUTPUTS_H

#include "compute.h"

#include <string>
#include <vector>

namespace LAMMPS_NS {

class PairCACE;

class ComputeCACEOutputs : public Compute {
 public:
  // compute ID group cace/atom NAME [NAME ...]
  ComputeCACEOutputs(LAMMPS *lammps, int narg, char **arg);
  ~ComputeCACEOutputs() override;

  void init() override;
  void compute_peratom() override;
  double memory_usage() override;

 private:
  std::vector<std::string> names_;
  int n_max_ = 0;                 // rows of vector_atom or array_atom
  std::vector<double> values_;    // (rows, names)

  PairCACE &pair() const;
  void make_room();
};

}    // namespace LAMMPS_NS

#endif
