// Ghost atoms and their owners on other MPI ranks: ops/ghost_exchange.h by LAMMPS' communication of ghosts, which
// knows of brick and tiled domains, and of ghosts of ghosts.
#pragma once

#include "ops/ghost_exchange.h"

#include <cstdint>
#include <vector>

namespace LAMMPS_NS {
class LAMMPS;
class Pair;
}    // namespace LAMMPS_NS

namespace pair_cace {

class RankExchange final : public GhostExchange {
 public:
  // `pair` hands its pack and unpack functions on to the ones below.
  RankExchange(LAMMPS_NS::LAMMPS *lmp, LAMMPS_NS::Pair *pair) : lmp_(lmp), pair_(pair) {}

  // From now on, row_of_atom[i] is the row of LAMMPS atom i (negative: none) in tables of at most
  // max_width columns.
  void use_rows(const std::vector<int> &row_of_atom, int64_t max_width);

  // Gives every ghost the value of its owner; one value per LAMMPS atom.
  void owners_to_ghosts(std::vector<int> &value_of_atom);

  // Adds what ghosts have to that of their owners; rows of `width` values per LAMMPS atom.
  void ghosts_to_owners(double *table_of_atoms, int64_t width);

  // Throw std::runtime_error if a table is wider than was announced.
  void to_ghosts(GhostTable table, int64_t width) override;
  void from_ghosts(GhostTable table, int64_t width) override;

  // For the functions of Pair of the same names.
  int pack_forward(int n, const int *list, double *buffer) const;
  void unpack_forward(int n, int first, const double *buffer);
  int pack_reverse(int n, int first, double *buffer) const;
  void unpack_reverse(int n, const int *list, const double *buffer);

  double seconds() const { return seconds_; }    // spent in to_ghosts and from_ghosts

 private:
  LAMMPS_NS::LAMMPS *lmp_;
  LAMMPS_NS::Pair *pair_;
  const std::vector<int> *row_of_atom_ = nullptr;
  int64_t max_width_ = 0;
  double seconds_ = 0.0;

  // The table on its way.
  char *table_ = nullptr;
  int64_t row_bytes_ = 0;
  int stride_ = 0;    // doubles per row in a buffer
  bool by_atom_ = false;
  void (*add_)(char *row, const char *values, int64_t row_bytes) = nullptr;

  template <class Value> void open(Value *table, int64_t width, bool by_atom);
  char *row_of(int atom) const;
};

}    // namespace pair_cace
