// Entry point of caceplugin.so: tells LAMMPS about `pair_style cace`.

#include "lammps_plugin_abi.h"
#include "own_blas.h"
#include "pair_cace.h"

#include "lammps.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace {

void *create_pair(void *lmp)
{
  return static_cast<LAMMPS_NS::Pair *>(
      new LAMMPS_NS::PairCACE(static_cast<LAMMPS_NS::LAMMPS *>(lmp)));
}

// Every step allocates what the step before has freed. glibc would give large blocks back to the
// kernel in between, and wait for zeroed pages again.
void keep_freed_memory()
{
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 32 << 20);    // the largest that is accepted
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
}

}    // namespace

void lammpsplugin_init(void *lmp, void *handle, void *regfunc)
{
  pair_cace::use_own_blas_in_torch();
  keep_freed_memory();

  // Where the build could not tell which LAMMPS it saw, vouch for the running one.
  const char *built_for = PAIR_CACE_LAMMPS_VERSION;
  lammpsplugin_t plugin{};
  plugin.version = *built_for ? built_for : static_cast<LAMMPS_NS::LAMMPS *>(lmp)->version;
  plugin.style = "pair";
  plugin.name = "cace";
  plugin.info = "CACE machine-learning potential, pair_cace " PAIR_CACE_VERSION;
  plugin.author = "pair_cace developers";
  plugin.creator.v1 = create_pair;
  plugin.handle = handle;
  (*reinterpret_cast<lammpsplugin_regfunc *>(regfunc))(&plugin, lmp);
}
