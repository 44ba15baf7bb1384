# torch_libraries: headers and libraries of libtorch.
#   TORCH_DIR   folder with include/ and lib/; default: the torch of the Python that is found.
# find_package(Torch) is not used: on a CUDA build of torch it demands a full CUDA toolkit.
set(TORCH_DIR "" CACHE PATH "libtorch, or the folder of the Python package torch")
if(NOT TORCH_DIR)
  folder_of_package(TORCH_DIR torch)
endif()
if(NOT EXISTS "${TORCH_DIR}/include/torch/script.h")
  message(FATAL_ERROR
    "expected torch headers in '${TORCH_DIR}/include', found none. Install torch for "
    "${Python_EXECUTABLE}, or give its folder with -DTORCH_DIR=/path/to/torch")
endif()

# The Python package says its version in version.py, a libtorch archive in build-version.
set(TORCH_VERSION "")
foreach(file version.py build-version)
  if(EXISTS "${TORCH_DIR}/${file}" AND NOT TORCH_VERSION)
    file(READ "${TORCH_DIR}/${file}" text)
    string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" TORCH_VERSION "${text}")
  endif()
endforeach()

add_library(torch_libraries INTERFACE)
target_include_directories(torch_libraries SYSTEM INTERFACE
  "${TORCH_DIR}/include" "${TORCH_DIR}/include/torch/csrc/api/include")
target_link_directories(torch_libraries INTERFACE "${TORCH_DIR}/lib")
# libtorch.so itself has no symbols; it pulls in libtorch_cuda on CUDA builds.
target_link_libraries(torch_libraries INTERFACE
  -Wl,--no-as-needed torch torch_cpu c10 -Wl,--as-needed)
message(STATUS "torch ${TORCH_VERSION} in ${TORCH_DIR}")
