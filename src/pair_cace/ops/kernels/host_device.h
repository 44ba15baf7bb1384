// PAIR_CACE_HD marks functions that CUDA kernels call as well; to other compilers it means nothing.
#pragma once

#if defined(__CUDACC__)
#define PAIR_CACE_HD __host__ __device__
#else
#define PAIR_CACE_HD
#endif
