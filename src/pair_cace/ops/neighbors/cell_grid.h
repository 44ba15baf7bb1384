// Cells that cover all points: those within the reach of a point lie in its own cell and those around it. The box of
// the simulation plays no part; periodic images, of boxes of any shape, are points like others.
#pragma once

#include "../kernels/host_device.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace pair_cace {

struct CellGrid {
  double origin[3] = {0.0, 0.0, 0.0};
  double inverse_width[3] = {0.0, 0.0, 0.0};    // 1/Å
  int n[3] = {1, 1, 1};

  PAIR_CACE_HD int64_t size() const { return int64_t(n[0]) * n[1] * n[2]; }

  PAIR_CACE_HD int place(double x, int axis) const
  {
    const double cell = (x - origin[axis]) * inverse_width[axis];
    return cell >= n[axis] ? n[axis] - 1 : cell > 0.0 ? static_cast<int>(cell) : 0;
  }

  // x runs fastest.
  PAIR_CACE_HD int64_t number(int x, int y, int z) const { return (int64_t(z) * n[1] + y) * n[0] + x; }
};

// For points between `low` and `high`, Å, all of them finite. Cells are as wide as the reach, and wider where there would
// be more of them than max_cells: points far apart do not take memory for the space between them.
inline CellGrid cell_grid(const double low[3], const double high[3], double reach, int64_t max_cells)
{
  CellGrid grid;
  double width = reach * (1.0 + 1e-12);    // so that rounding puts no neighbour two cells away
  const auto cells = [&](int axis) { return std::max(1.0, std::floor((high[axis] - low[axis]) / width)); };
  while (cells(0) * cells(1) * cells(2) > static_cast<double>(std::max<int64_t>(1, max_cells))) width *= 1.25;
  for (int axis = 0; axis < 3; ++axis) {
    grid.origin[axis] = low[axis];
    grid.n[axis] = static_cast<int>(cells(axis));
    // Cells share the extent, so that none is narrower than the reach.
    const double extent = high[axis] - low[axis];
    grid.inverse_width[axis] = grid.n[axis] > 1 ? grid.n[axis] / extent : 0.0;
  }
  return grid;
}

}    // namespace pair_cace
