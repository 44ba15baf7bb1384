// Atoms of one species have one embedding. Where there are fewer species than columns in it, sums over neighbours
// are cheaper by species: for an element alone, or for water.
#pragma once

#include "torch_glue.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

namespace pair_cace {

// The rows of a table of the atoms' embeddings that differ: one for every species.
struct SpeciesTable {
  Tensor rows;       // (species, K)
  Tensor one_hot;    // (N, species): 1 for the species of an atom

  // Nothing if there are as many species as columns, or more: then sums by species have no advantage.
  template <class Real> static std::optional<SpeciesTable> fewer_than_columns(const Tensor &embedding)
  {
    const int64_t n = embedding.size(0), columns = embedding.size(1);
    if (n == 0) return std::nullopt;
    const Real *rows = embedding.const_data_ptr<Real>();
    std::vector<const Real *> found;
    std::vector<int64_t> species(n);
    for (int64_t i = 0; i < n; ++i) {
      const Real *row = rows + i * columns;
      const auto same = std::find_if(found.begin(), found.end(), [&](const Real *other) {
        return std::memcmp(row, other, columns * sizeof(Real)) == 0;
      });
      species[i] = same - found.begin();
      if (same != found.end()) continue;
      found.push_back(row);
      if (static_cast<int64_t>(found.size()) == columns) return std::nullopt;
    }
    const int64_t n_species = static_cast<int64_t>(found.size());
    SpeciesTable table{at::empty({n_species, columns}, embedding.options()),
                       at::zeros({n, n_species}, embedding.options())};
    for (int64_t s = 0; s < n_species; ++s) std::copy_n(found[s], columns, table.rows.data_ptr<Real>() + s * columns);
    Real *one_hot = table.one_hot.data_ptr<Real>();
    for (int64_t i = 0; i < n; ++i) one_hot[i * n_species + species[i]] = 1;
    return table;
  }
};

}    // namespace pair_cace
