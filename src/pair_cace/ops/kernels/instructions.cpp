// All kernels for one instruction set, named by the macro PAIR_CACE_INSTRUCTIONS.
#include "layer.h"
#include "mixing.h"
#include "neighbor_sum.h"
#include "radial_message.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

extern const FreeKernels<float> free_kernels_float;    // free_instructions.cpp
extern const FreeKernels<double> free_kernels_double;

template <class Real> constexpr Kernels<Real> table_of(const char *name, const FreeKernels<Real> *free)
{
  using V = Vec<Real>;
  using D = Dual<V>;
  return {name,
          lanes_of<Real>,
          neighbor_sum<V>,
          neighbor_sum<D>,
          neighbor_sum_gradient<V>,
          neighbor_sum_gradient<D>,
          mixing<V>,
          mixing<D>,
          mixing_gradient<V>,
          mixing_gradient<D>,
          radial_message<V>,
          radial_message<D>,
          radial_message_gradient<V>,
          radial_message_gradient<D>,
          layer<V>,
          last_layer<V>,
          layer_gradient<V>,
          free};
}

#define NAME_OF(macro) #macro
#define NAME(macro) NAME_OF(macro)
extern const Kernels<float> kernels_float = table_of<float>(NAME(PAIR_CACE_INSTRUCTIONS), &free_kernels_float);
extern const Kernels<double> kernels_double = table_of<double>(NAME(PAIR_CACE_INSTRUCTIONS), &free_kernels_double);

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
