// pair_style cace: the LAMMPS side. compute() reads as a list: number the atoms, gather the edges,
// evaluate the model, scatter forces, tally energy and virial.
#ifndef LMP_PAIR_CACE_H
#define LMP_PAIR_CACE_H

#include "exported_model.h"
#include "lammps_edges.h"
#include "rank_exchange.h"

#include "pair.h"

#include <memory>
#include <string>
#include <vector>

namespace LAMMPS_NS {

class PairCACE : public Pair {
 public:
  explicit PairCACE(LAMMPS *lmp);
  ~PairCACE() override;

  void settings(int narg, char **arg) override;
  void coeff(int narg, char **arg) override;
  void init_style() override;
  double init_one(int i, int j) override;
  void compute(int eflag, int vflag) override;
  double memory_usage() override;

  // All of them on behalf of exchange_.
  int pack_forward_comm(int n, int *list, double *buf, int pbc_flag, int *pbc) override;
  void unpack_forward_comm(int n, int first, double *buf) override;
  int pack_reverse_comm(int n, int first, double *buf) override;
  void unpack_reverse_comm(int n, int *list, double *buf) override;

 private:
  pair_cace::DeviceChoice device_ = pair_cace::DeviceChoice::automatic;
  std::unique_ptr<pair_cace::ExportedModel> model_;
  std::vector<int> atomic_numbers_;    // by type, 0 where pair_coeff says NULL
  double energy_unit_ = 1.0;           // LAMMPS energy unit per eV

  pair_cace::RankExchange exchange_;
  bool exchanges_ = false;    // messages with other ranks
  pair_cace::Rows rows_;
  pair_cace::EdgeList edges_;
  pair_cace::Evaluation result_;
  std::vector<double> row_forces_;    // (threads, rows, 3) eV/Å

  void allocate();
  std::unique_ptr<pair_cace::ExportedModel> load_model(const std::string &path);
  std::vector<int> atomic_numbers_of_types(const std::vector<std::string> &symbols,
                                           const pair_cace::ModelInfo &info,
                                           const std::string &path);
  void log_what_was_loaded(const std::string &path);
  void prepare_exchange();

  void number_atoms();
  void scatter_forces();
  void tally();
  void tally_edge_virials();
};

}    // namespace LAMMPS_NS

#endif
