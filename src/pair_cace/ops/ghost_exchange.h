// Message passing over several MPI ranks: between two layers, values of atoms travel to their ghosts on
// other ranks, and on the way back gradients by the values of ghosts travel to their owners. Whoever owns the
// atoms says how; torch.ops.pair_cace.evaluate and share_with_ghosts ask for it. Knows no torch header.
#pragma once

#include <cstdint>

namespace pair_cace {

// Tables have one row for every row of the edge list (edge_list.h), those of ghosts at the end. All ranks call
// the same functions in the same order, with tables of the same width, also those that have no atoms.
class [[gnu::visibility("default")]] GhostExchange {
 public:
  virtual ~GhostExchange() = default;

  // Makes the rows of ghosts those of their owners.
  virtual void to_ghosts(float *table, int64_t width) = 0;
  virtual void to_ghosts(double *table, int64_t width) = 0;

  // Adds the rows of ghosts to those of their owners; what the rows of ghosts hold afterwards means nothing.
  virtual void from_ghosts(float *table, int64_t width) = 0;
  virtual void from_ghosts(double *table, int64_t width) = 0;
};

// The exchange for evaluations that this thread starts; null: all senders are local atoms.
[[gnu::visibility("default")]] GhostExchange *ghost_exchange();

// Sets it as long as it lives.
class [[gnu::visibility("default")]] UseGhostExchange {
 public:
  explicit UseGhostExchange(GhostExchange *exchange);
  ~UseGhostExchange();
  UseGhostExchange(const UseGhostExchange &) = delete;
  UseGhostExchange &operator=(const UseGhostExchange &) = delete;

 private:
  GhostExchange *before_;
};

}    // namespace pair_cace
