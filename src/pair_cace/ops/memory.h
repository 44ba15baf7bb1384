// How the C library treats memory that tensors have freed. Knows no torch header.
#pragma once

#include <cstdint>

namespace pair_cace {

// Keeps freed memory in the process, up to `at_most` bytes of it, for the next step to use. By default
// glibc gives large blocks back to the kernel, which hands out zeroed pages again at the next step: a
// tenth to a quarter of the time of a step. Does nothing with other C libraries.
[[gnu::visibility("default")]] void keep_freed_memory(int64_t at_most);

}    // namespace pair_cace
