// The kernels of free_kernels.h for one instruction set, as instructions.cpp.
#include "gates.h"
#include "product_channels.h"
#include "row_product.h"
#include "tensor_sum.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

template <class Real> constexpr FreeKernels<Real> free_table_of()
{
  using V = Vec<Real>;
  return {lanes_of<Real>,         row_product<V>, channels<V>,       channels_gradient<V>, tensor_sum<V>,
          tensor_sum_gradient<V>, gates<V>,       gates_gradient<V>, activation<V>};
}

extern const FreeKernels<float> free_kernels_float = free_table_of<float>();
extern const FreeKernels<double> free_kernels_double = free_table_of<double>();

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
