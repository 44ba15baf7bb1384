// How far the models of a committee are from each other, as DP-GEN and others use it to choose
// configurations. With F_i^k the force on atom i by model k and <…> the mean over models,
//
//   force deviation of atom i     ε_i = sqrt(<|F_i^k − <F_i>|²>)
//   deviation of the virial       sqrt(<(W_ab^k − <W_ab>)²>) / N for each of nine components ab
//   deviation of the energy       sqrt(<(E^k − <E>)²>) / N
#pragma once

#include "lammps_edges.h"
#include "rank_exchange.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace pair_cace {

class CommitteeDeviation {
 public:
  struct Spread {
    double largest = 0.0, smallest = 0.0, mean = 0.0;
  };

  // Once a step, for all atoms that this rank holds.
  void start(int n_models, int n_local, int n_ghosts);
  // What model k says on this rank: forces (rows, 3) eV/Å, energy and virial in eV.
  void add(int k, const Rows &rows, const double *forces, double energy, const std::array<double, 9> &virial);
  // On every rank. Units from here on are those of LAMMPS, `energy_unit` per eV.
  void finish(LAMMPS_NS::LAMMPS *lmp, RankExchange &exchange, const Rows &rows, double energy_unit);

  const Spread &forces() const { return forces_; }    // of all atoms; the mean is the plain one
  double energy() const { return energy_; }
  int64_t step() const { return step_; }             // of all these; −1 before there is one
  double *of_atoms() { return of_atoms_.data(); }    // (local atoms,) ε_i, 0 for atoms without a row

  // A line for this step, in place of one of the same step just before. The file is made by a first line of
  // step 0, and added to by one of a later step; when steps go back, its head is written once more.
  // Throws std::runtime_error if it cannot be written.
  void write(const std::string &path, int64_t step);

 private:
  void open(const std::string &path, int64_t step);
  void write_head();

  int n_models_ = 0, n_local_ = 0;
  std::vector<double> forces_of_atoms_;    // (atoms, models, 3)
  std::vector<double> sums_;               // (models, 1 + 9) energy and virial of this rank
  std::vector<double> of_atoms_ = {0.0};
  Spread forces_, virial_;    // of the virial, the mean is the root mean square
  double energy_ = 0.0;
  int64_t step_ = -1;
  std::unique_ptr<std::FILE, int (*)(std::FILE *)> file_{nullptr, std::fclose};
  std::string path_;
  int64_t last_step_ = -1;
  long last_line_ = 0;    // where it begins
};

}    // namespace pair_cace
