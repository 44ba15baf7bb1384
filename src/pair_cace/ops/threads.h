// Threads for loops outside torch: those of its pool. Knows no torch header.
#pragma once

#include <cstdint>
#include <functional>

namespace pair_cace {

// How many shares `work` multiply-adds (or what takes as long) are worth; 1 … number of threads.
[[gnu::visibility("default")]] int worthwhile_shares(int64_t work);

// Calls body(begin, end, share) for n_shares pieces of 0 … n − 1, in order of share, each on a thread of
// its own; pieces may be empty. An exception of a piece comes out here.
[[gnu::visibility("default")]] void in_shares(int64_t n, int n_shares,
                                              const std::function<void(int64_t begin, int64_t end, int share)> &body);

}    // namespace pair_cace
