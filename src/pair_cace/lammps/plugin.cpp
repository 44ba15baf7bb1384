// Entry point of caceplugin.so: tells LAMMPS about `pair_style cace` and its computes.

#include "computes.h"
#include "lammps_plugin_abi.h"
#include "ops/memory.h"
#include "exported/own_blas.h"
#include "pair_cace.h"

#include "lammps.h"

namespace {

void *create_pair(void *lmp)
{
  return static_cast<LAMMPS_NS::Pair *>(new LAMMPS_NS::PairCACE(static_cast<LAMMPS_NS::LAMMPS *>(lmp)));
}

template <class Style> void *create_compute(void *lmp, int narg, char **arg)
{
  return static_cast<LAMMPS_NS::Compute *>(new Style(static_cast<LAMMPS_NS::LAMMPS *>(lmp), narg, arg));
}

}    // namespace

void lammpsplugin_init(void *lmp, void *handle, void *regfunc)
{
  pair_cace::use_own_blas_in_torch();
  pair_cace::keep_freed_memory(1 << 30);

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
  auto *register_plugin = reinterpret_cast<lammpsplugin_regfunc *>(regfunc);
  (*register_plugin)(&plugin, lmp);

  plugin.style = "compute";
  plugin.name = "cace/descriptors";
  plugin.info = "Invariants of atoms in a CACE potential, pair_cace " PAIR_CACE_VERSION;
  plugin.creator.v2 = create_compute<LAMMPS_NS::ComputeCACEDescriptors>;
  (*register_plugin)(&plugin, lmp);

  plugin.name = "cace/atom";
  plugin.info = "What a CACE potential predicts of every atom, pair_cace " PAIR_CACE_VERSION;
  plugin.creator.v2 = create_compute<LAMMPS_NS::ComputeCACEOutputs>;
  (*register_plugin)(&plugin, lmp);
}
