// Principal components of rows that are spread over MPI ranks. Knows no torch header.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace pair_cace {

struct PrincipalComponents {
  std::vector<double> center;        // (width,) the mean
  std::vector<double> directions;    // (width, n) orthonormal columns, largest variance first
};

// Of the rows table[rows[0]], table[rows[1]], … of all ranks; table (…, width). `add_over_ranks` makes each of n
// values the sum over ranks. A direction points to where its largest entry is positive. Nothing if there are no rows.
std::optional<PrincipalComponents> principal_components(const std::vector<double> &table, const std::vector<int> &rows,
                                                        int width, int n,
                                                        const std::function<void(double *, int64_t)> &add_over_ranks);

}    // namespace pair_cace
