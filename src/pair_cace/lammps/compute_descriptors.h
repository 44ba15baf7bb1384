// compute cace/descriptors: the invariants B of every atom (Eq. 8-10 of the paper), or their principal
// components, for analysis: maps of configurations, clusters of environments, distances from training data.
#ifndef LMP_COMPUTE_CACE_DESCRIPTORS_H
#define LMP_COMPUTE_CACE_DESCRIPTORS_H

#include "compute.h"

#include <vector>

namespace LAMMPS_NS {

class PairCACE;

class ComputeCACEDescriptors : public Compute {
 public:
  // compute ID group cace/descriptors [components N]
  ComputeCACEDescriptors(LAMMPS *lmp, int narg, char **arg);
  ~ComputeCACEDescriptors() override;

  void init() override;
  void compute_peratom() override;
  double memory_usage() override;

 private:
  int n_descriptors_ = 0, n_components_ = 0;    // components: 0 for the invariants themselves
  int n_max_ = 0;                               // rows of array_atom
  std::vector<double> descriptors_;             // (rows, n_descriptors), float64
  std::vector<double> center_, directions_;     // (n_descriptors), (n_descriptors, n_components)
  int64_t id_of_models_ = 0;                    // that they are of

  PairCACE &pair() const;
  void find_directions(const std::vector<int> &rows);
  std::vector<int> rows_in_group(const PairCACE &pair) const;
};

}    // namespace LAMMPS_NS

#endif
