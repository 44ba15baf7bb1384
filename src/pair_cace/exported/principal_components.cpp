#include "principal_components.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

namespace pair_cace {

std::optional<PrincipalComponents> principal_components(const std::vector<double> &table, const std::vector<int> &rows,
                                                        int width, int n,
                                                        const std::function<void(double *, int64_t)> &add_over_ranks)
{
  PrincipalComponents result;
  result.center.assign(width + 1, 0.0);    // and the number of rows
  for (int row : rows)
    for (int k = 0; k < width; ++k) result.center[k] += table[int64_t(row) * width + k];
  result.center[width] = static_cast<double>(rows.size());
  add_over_ranks(result.center.data(), width + 1);
  const double count = result.center[width];
  if (count == 0.0) return std::nullopt;
  result.center.pop_back();
  for (double &value : result.center) value /= count;

  // The covariance, some rows at a time.
  at::Tensor covariance = at::zeros({width, width}, at::kDouble);
  constexpr std::size_t at_once = 256;
  std::vector<double> part;
  for (std::size_t first = 0; first < rows.size(); first += at_once) {
    const int64_t n_rows = std::min(at_once, rows.size() - first);
    part.resize(n_rows * width);
    for (int64_t i = 0; i < n_rows; ++i)
      for (int k = 0; k < width; ++k)
        part[i * width + k] = table[int64_t(rows[first + i]) * width + k] - result.center[k];
    const at::Tensor x = at::from_blob(part.data(), {n_rows, width}, at::kDouble);
    covariance = at::addmm(covariance, x.t(), x);
  }
  add_over_ranks(covariance.data_ptr<double>(), int64_t(width) * width);
  const at::Tensor vectors = std::get<1>(at::linalg_eigh(covariance)).contiguous();    // ascending

  const double *v = vectors.const_data_ptr<double>();
  result.directions.resize(int64_t(width) * n);
  for (int c = 0; c < n; ++c) {
    const int column = width - 1 - c;
    double largest = 0.0;
    for (int k = 0; k < width; ++k)
      if (std::abs(v[int64_t(k) * width + column]) > std::abs(largest) * (1 + 1e-9))
        largest = v[int64_t(k) * width + column];
    const double sign = largest < 0.0 ? -1.0 : 1.0;
    for (int k = 0; k < width; ++k) result.directions[int64_t(k) * n + c] = sign * v[int64_t(k) * width + column];
  }
  return result;
}

}    // namespace pair_cace
