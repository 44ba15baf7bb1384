// pair_style cace: the LAMMPS side. compute() reads as a list, for every model: number the atoms, gather the
// edges, evaluate the model, sum up forces, tally energy and virial.
#ifndef LMP_PAIR_CACE_H
#define LMP_PAIR_CACE_H

#include "coefficients.h"
#include "committee_deviation.h"
#include "exported/exported_model.h"
#include "lammps_edges.h"
#include "outside_training.h"
#include "exported/own_neighbors.h"
#include "settings.h"
#include "rank_exchange.h"

#include "pair.h"

#include <array>
#include <functional>
#include <memory>
#include <vector>

namespace LAMMPS_NS {

class PairCACE : public Pair {
 public:
  explicit PairCACE(LAMMPS *lammps);
  ~PairCACE() override;

  // The one of this LAMMPS that has its models. error->all, in the name of who asks, if there is none, or not just one.
  static PairCACE &with_models(LAMMPS *lammps, const char *asks);

  void settings(int narg, char **arg) override;
  void coeff(int narg, char **arg) override;
  void init_style() override;
  double init_one(int i, int j) override;
  void compute(int eflag, int vflag) override;
  void finish() override;
  double memory_usage() override;

  // Invariants of the local rows, (n_local_rows, n_descriptors) float64, by the first model; for the
  // configuration of the last step. All ranks call it.
  void describe(std::vector<double> &descriptors);
  // The named outputs of the local rows, (n_local_rows, names) float64: the mean of the models that drive the run, for the
  // configuration of the last step. All ranks call it.
  void predict(const std::vector<std::string> &names, std::vector<double> &values);
  const std::vector<std::string> &outputs() const { return outputs_; }    // the names that all of these have
  int64_t id_of_models() const { return id_of_models_; }                  // another one after every pair_coeff
  int n_descriptors() const { return models_.empty() ? 0 : models_[0]->info().n_descriptors; }
  int n_local_rows() const { return rows_.n_local; }
  int atom_of_row(int row) const { return rows_.atoms[row]; }

  // Per atom: force_deviation of a committee, for `fix pair`; its flag asks for it.
  void *extract(const char *name, int &dim) override;
  void *extract_peratom(const char *name, int &n_columns) override;

  void write_restart(FILE *file) override;
  void read_restart(FILE *file) override;
  void write_restart_settings(FILE *file) override;    // all that hybrid styles keep
  void read_restart_settings(FILE *file) override;

  // All of them on behalf of exchange_.
  int pack_forward_comm(int n, int *atoms, double *to, int, int *) override
  {
    return exchange_.pack_forward(n, atoms, to);
  }
  void unpack_forward_comm(int n, int first, double *from) override { exchange_.unpack_forward(n, first, from); }
  int pack_reverse_comm(int n, int first, double *to) override { return exchange_.pack_reverse(n, first, to); }
  void unpack_reverse_comm(int n, int *atoms, double *from) override { exchange_.unpack_reverse(n, atoms, from); }

 private:
  pair_cace::PairSettings settings_;
  pair_cace::PairCoefficients coefficients_;
  std::vector<std::unique_ptr<pair_cace::ExportedModel>> models_;    // several: a committee
  int64_t id_of_models_ = 0;
  std::vector<std::string> outputs_;    // that all driving models have
  std::vector<int> atomic_numbers_;     // by type, 0 where pair_coeff says NULL
  int hidden_groups_ = 0;               // bits of groups that neigh_modify excludes from all
  double energy_unit_ = 1.0;            // LAMMPS energy unit per eV

  pair_cace::RankExchange exchange_;
  pair_cace::Rows rows_;
  pair_cace::EdgeList edges_;
  pair_cace::Evaluation result_;
  std::vector<double> row_forces_;    // (threads, rows, 3) eV/Å; the sum in front

  // With neighbour lists of our own there is one of each model; without, none.
  std::vector<std::unique_ptr<pair_cace::OwnNeighbors>> own_neighbors_;
  std::vector<int64_t> built_at_;    // of each model, the number of the build of its list
  int64_t n_builds_ = 0;
  pair_cace::Points points_;
  std::vector<int> atoms_of_points_;      // LAMMPS atoms
  std::array<double, 9> own_virial_{};    // eV, of the last evaluation

  pair_cace::OutsideTraining outside_;
  std::vector<double> densities_;    // around local rows, atoms/Å³

  pair_cace::CommitteeDeviation deviation_;
  int deviation_flag_ = 0;
  std::array<double, 4> pvector_{};    // largest, smallest, mean force deviation; energy deviation

  struct Times {
    double edges = 0.0, model = 0.0, forces = 0.0;    // s of this run
  } times_;
  double exchange_seconds_before_ = 0.0;

  void allocate();
  void use_models(const pair_cace::PairCoefficients &coefficients,
                  std::vector<std::unique_ptr<pair_cace::ExportedModel>> models);
  int n_driving() const;
  void prepare_exchange();
  void watch_outside();
  void finish_watching();
  void check_neighbors();
  void evaluate(int k, bool wants_virial);
  void choose_neighbors();
  void gather_points();
  void naming_atoms(const std::function<void()> &use) const;
  void evaluate_own(int k, bool wants_virial);
  void with_edges_for(int k, bool watches, const std::function<void()> &use);
  pair_cace::GhostExchange *exchange_for(int k);
  void with_rows_for(int k, const std::function<void()> &use);
  void number_atoms(const pair_cace::ModelInfo &info, bool exchanges);
  void sum_edge_forces();
  void add_forces(double share);
  void tally(int k, double share);
  std::array<double, 9> virial_of_edges() const;
  void tally_virials_of_atoms(int k, double share);
  [[noreturn]] void stop_from_this_rank(const std::string &problem);
  bool wants_deviation() const;
  void report_deviation();
};

}    // namespace LAMMPS_NS

#endif
