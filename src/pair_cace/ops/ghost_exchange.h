// Message passing over several MPI ranks: between two layers, values of atoms travel to their ghosts on
// other ranks, and on the way back gradients by the values of ghosts travel to their owners. Whoever owns the
// atoms says how, and gives it to the evaluation. Knows no torch header.
#pragma once

#include <cstdint>
#include <variant>

namespace pair_cace {

// One row for every row of the edge list (edge_list.h), those of ghosts at the end.
using GhostTable = std::variant<float *, double *>;

// All ranks call the same functions in the same order, with tables of the same width, also those that have no atoms.
class [[gnu::visibility("default")]] GhostExchange {
 public:
  GhostExchange();
  virtual ~GhostExchange();
  GhostExchange(const GhostExchange &) = delete;
  GhostExchange &operator=(const GhostExchange &) = delete;

  // Makes the rows of ghosts those of their owners.
  virtual void to_ghosts(GhostTable table, int64_t width) = 0;

  // Adds the rows of ghosts to those of their owners; what the rows of ghosts hold afterwards means nothing.
  virtual void from_ghosts(GhostTable table, int64_t width) = 0;

  // Its name in TorchScript, which knows no pointers: positive, 0 stands for none.
  int64_t handle() const { return handle_; }

  // The living one of that name. Throws std::runtime_error if there is none.
  static GhostExchange &with(int64_t handle);

 private:
  int64_t handle_;
};

}    // namespace pair_cace
