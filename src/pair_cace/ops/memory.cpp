#include "memory.h"

#include <torch/library.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace pair_cace {

void keep_freed_memory([[maybe_unused]] int64_t at_most)
{
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 32 << 20);    // the largest that is accepted
  mallopt(M_TRIM_THRESHOLD, static_cast<int>(at_most));
#endif
}

}    // namespace pair_cace

TORCH_LIBRARY_FRAGMENT(pair_cace, library)
{
  library.def("keep_freed_memory(int at_most) -> ()", pair_cace::keep_freed_memory);
}
