// What a model says of every atom besides its energy, as computes: a row for every atom of the group, zeros for others.
#ifndef LMP_COMPUTES_CACE_H
#define LMP_COMPUTES_CACE_H

#include "compute.h"
#include "exported/principal_components.h"

#include <optional>
#include <string>
#include <vector>

namespace LAMMPS_NS {

class PairCACE;

class ComputeCACE : public Compute {
 public:
  ComputeCACE(LAMMPS *lammps, int narg, char **arg) : Compute(lammps, narg, arg) { peratom_flag = 1; }
  ~ComputeCACE() override;

  void init() override { pair(); }    // another pair_coeff may have changed what there is
  void compute_peratom() override;
  double memory_usage() override;

 protected:
  std::vector<double> values_;    // of local rows, (rows, …) float64

  virtual PairCACE &pair() const = 0;                  // error->all unless it has what is asked for
  virtual void find_values(PairCACE &pair) = 0;        // sets values_
  virtual void prepare(const std::vector<int> &) {}    // what copy_row needs, from the rows of the group
  // What the compute says of the atom of a row.
  virtual void copy_row(int row, int n_columns, double *to) const;

 private:
  int n_max_ = 0;    // rows of vector_atom or array_atom
};

// The invariants B of every atom (Eq. 8-10 of the paper), or their principal components, for analysis: maps of
// configurations, clusters of environments, distances from training data.
class ComputeCACEDescriptors : public ComputeCACE {
 public:
  // compute ID group cace/descriptors [components N]
  ComputeCACEDescriptors(LAMMPS *lammps, int narg, char **arg);

  void init() override;

 private:
  int n_descriptors_ = 0, n_components_ = 0;    // components: 0 for the invariants themselves
  std::optional<pair_cace::PrincipalComponents> components_;
  int64_t id_of_models_ = 0;    // that they are of

  PairCACE &pair() const override;
  void find_values(PairCACE &pair) override;
  void prepare(const std::vector<int> &rows) override;
  void copy_row(int row, int n_columns, double *to) const override;
};

// Outputs such as charges, by name.
class ComputeCACEOutputs : public ComputeCACE {
 public:
  // compute ID group cace/atom NAME [NAME ...]
  ComputeCACEOutputs(LAMMPS *lammps, int narg, char **arg);

 private:
  std::vector<std::string> names_;

  PairCACE &pair() const override;
  void find_values(PairCACE &pair) override;
};

}    // namespace LAMMPS_NS

#endif
