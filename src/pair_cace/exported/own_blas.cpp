#include "own_blas.h"

#if defined(__linux__) && defined(__LP64__)

#include <cstdint>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <initializer_list>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

namespace pair_cace {

namespace {

// What the dynamic section says about the calls a library makes through its procedure table.
struct CallTable {
  const ElfW(Sym) *symbols = nullptr;
  const char *names = nullptr;
  const ElfW(Rela) *relocations = nullptr;
  std::size_t n_relocations = 0;
};

CallTable call_table_of(const link_map &library)
{
  CallTable table;
  for (const ElfW(Dyn) *entry = library.l_ld; entry->d_tag != DT_NULL; ++entry) {
    switch (entry->d_tag) {
    case DT_SYMTAB: table.symbols = reinterpret_cast<const ElfW(Sym) *>(entry->d_un.d_ptr); break;
    case DT_STRTAB: table.names = reinterpret_cast<const char *>(entry->d_un.d_ptr); break;
    case DT_JMPREL: table.relocations = reinterpret_cast<const ElfW(Rela) *>(entry->d_un.d_ptr); break;
    case DT_PLTRELSZ: table.n_relocations = entry->d_un.d_val / sizeof(ElfW(Rela)); break;
    }
  }
  return table;
}

bool is_blas_or_lapack(const char *name)
{
  for (const char *routine : {"dgemm_", "dgemv_", "ddot_", "daxpy_", "dcopy_", "dscal_", "dtrsm_", "dgetrf_", "dgetrs_",
                              "dgetri_", "dorgqr_", "dpotrf_", "dpotri_", "dpotrs_", "dsyev_", "xerbla_"})
    if (std::strcmp(name, routine) == 0) return true;
  return false;
}

void write_slot(void **slot, void *target)
{
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const std::uintptr_t first = reinterpret_cast<std::uintptr_t>(slot) & ~(page - 1);
  if (mprotect(reinterpret_cast<void *>(first), page, PROT_READ | PROT_WRITE) == 0) *slot = target;
}

}    // namespace

void use_own_blas_in_torch()
{
  void *handle = dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD);
  if (!handle) return;
  link_map *library = nullptr;
  if (dlinfo(handle, RTLD_DI_LINKMAP, &library) == 0 && library) {
    const CallTable table = call_table_of(*library);
    if (table.symbols && table.names && table.relocations) {
      for (std::size_t k = 0; k < table.n_relocations; ++k) {
        const ElfW(Rela) &call = table.relocations[k];
        const ElfW(Sym) &symbol = table.symbols[ELF64_R_SYM(call.r_info)];
        if (symbol.st_shndx == SHN_UNDEF) continue;    // libtorch has none of its own
        if (!is_blas_or_lapack(table.names + symbol.st_name)) continue;
        auto **slot = reinterpret_cast<void **>(library->l_addr + call.r_offset);
        auto *own = reinterpret_cast<void *>(library->l_addr + symbol.st_value);
        if (*slot != own) write_slot(slot, own);
      }
    }
  }
  dlclose(handle);
}

}    // namespace pair_cace

#else

void pair_cace::use_own_blas_in_torch()
{
}

#endif
