# kernels: src/pair_cace/ops/kernels, compiled once for each instruction set; the best that the machine
# has is chosen at run time (kernels.cpp).
set(kernel_folder src/pair_cace/ops/kernels)
set(kernel_instructions baseline)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND kernel_instructions avx2 avx512)
endif()
set(kernel_optimization -O3)
if(CMAKE_BUILD_TYPE STREQUAL "Debug" OR PAIR_CACE_SANITIZE)
  set(kernel_optimization -O0)    # compiled in a third of the time
endif()
set(kernel_flags_avx2 -mavx2 -mfma)
set(kernel_flags_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma)

add_library(kernels INTERFACE)
add_library(kernels_choice OBJECT ${kernel_folder}/kernels.cpp)
set_target_properties(kernels_choice PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_sources(kernels INTERFACE $<TARGET_OBJECTS:kernels_choice>)
foreach(instructions IN LISTS kernel_instructions)
  add_library(kernels_${instructions} OBJECT
    ${kernel_folder}/instructions.cpp ${kernel_folder}/free_instructions.cpp)
  set_target_properties(kernels_${instructions} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_compile_definitions(kernels_${instructions} PRIVATE PAIR_CACE_INSTRUCTIONS=${instructions})
  # No -ffast-math: NaN must stay NaN. Vector types never cross the border of a file (-Wno-psabi).
  target_compile_options(kernels_${instructions} PRIVATE
    ${kernel_optimization} -ffp-contract=fast -fno-math-errno -Wno-psabi ${kernel_flags_${instructions}})
  target_sources(kernels INTERFACE $<TARGET_OBJECTS:kernels_${instructions}>)
endforeach()
