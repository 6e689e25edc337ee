/* A driver without a GPU, for tests of what is loaded and launched: memory is the host's, a kernel
   is its name, and a launch writes a line to the file that LAUNCHES names. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAILED = 1, NO_MEMORY = 2, NO_BINARY = 209, NOT_FOUND = 500 };
enum { MULTIPROCESSORS = 16, MAJOR = 75, MINOR = 76, COOPERATIVE = 95 };

typedef struct {
  unsigned grid[3], block[3], shared;
  void *stream;
  int *attributes;
  unsigned n_attributes;
} Configuration;

typedef struct {
  char name[1024];
} Kernel;

static char context[64];
static __thread void *current;

static int nothing(void) { return 0; }

int cuInit(unsigned flags) { return 0; }
int cuDriverGetVersion(int *version) { return *version = 13000, 0; }
int cuDeviceGetCount(int *count) { return *count = 1, 0; }
int cuDeviceGet(int *device, int number) { return *device = number, 0; }
int cuDeviceGetName(char *name, int size, int device) { return snprintf(name, size, "none") < 0; }
int cuDeviceGetUuid_v2(char *uuid, int device) { return memset(uuid, 7, 16), 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  *value = attribute == MAJOR ? 9 : attribute == MINOR ? 0 : attribute == MULTIPROCESSORS ? 132 : 1;
  return 0;
}
int cuDevicePrimaryCtxRetain(void **made, int device) { return *made = context, 0; }
int cuCtxGetCurrent(void **found) { return *found = current, 0; }
int cuCtxSetCurrent(void *given) { return current = given, 0; }
int cuCtxPushCurrent_v2(void *given) { return current = given, 0; }
int cuCtxPopCurrent_v2(void **found) { return *found = current, current = NULL, 0; }
int cuCtxGetDevice(int *device) { return *device = 0, current == NULL ? 201 : 0; }
int cuStreamCreate(void **made, unsigned flags) { return *made = malloc(1), 0; }
int cuStreamGetCtx(void *stream, void **found) { return *found = context, 0; }
int cuMemGetInfo_v2(size_t *available, size_t *total) {
  return *available = *total = (size_t)1 << 33, 0;
}
int cuMemAlloc_v2(void **made, size_t size) {
  return (*made = malloc(size)) == NULL ? NO_MEMORY : 0;
}
int cuMemFree_v2(void *memory) { return free(memory), 0; }
int cuMemcpyHtoD_v2(void *to, const void *from, size_t size) { return memcpy(to, from, size), 0; }
int cuMemcpyDtoH_v2(void *to, const void *from, size_t size) { return memcpy(to, from, size), 0; }
int cuPointerGetAttribute(void **value, int attribute, void *memory) {
  return *value = attribute == 1 ? (void *)context : memory, 0;
}
int cuLibraryLoadData(void **made, const char *code) {
  if (memcmp(code, "\177ELF", 4)) return NO_BINARY;
  return *made = calloc(1, sizeof(Kernel)), 0;
}
int cuLibraryGetKernel(void **found, Kernel *library, const char *name) {
  strncpy(library->name, name, sizeof(library->name) - 1);
  return *found = library, 0;
}
int cuKernelGetFunction(void **found, void *kernel) { return *found = kernel, 0; }
int cuKernelGetAttribute(int *value, int attribute, void *kernel, int device) {
  return *value = 64, 0;
}
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, void *f, int threads, size_t shared) {
  return *n = 512 / threads, 0;
}
int cuGetErrorName(int error, const char **name) { return *name = "ERROR_WITHOUT_A_GPU", 0; }
int cuGetErrorString(int error, const char **text) { return *text = "a test's driver", 0; }

/* Each argument, of as many bytes as its digit in ARGUMENTS says. */
int cuLaunchKernelEx(Configuration *c, Kernel *kernel, void **arguments, void **extra) {
  FILE *file = fopen(getenv("LAUNCHES"), "a");
  if (file == NULL) return FAILED;
  int is_cooperative = 0;
  for (unsigned k = 0; k < c->n_attributes; k++) is_cooperative |= c->attributes[18 * k] == 2;
  fprintf(file, "%s %u %u %p %d", kernel->name, c->grid[0], c->block[0], c->stream, is_cooperative);
  for (const char *size = getenv("ARGUMENTS"); *size; size++, arguments++) {
    unsigned long long value = 0;
    memcpy(&value, *arguments, *size - '0');
    fprintf(file, " %llx", value);
  }
  fprintf(file, "\n");
  return fclose(file) != 0;
}

int cuGetProcAddress_v2(const char *name, void **found, int version, uint64_t flags, int *status) {
  char spelled[256];
  *found = NULL;
  for (int k = 0; k < 2 && *found == NULL; k++) {
    snprintf(spelled, sizeof spelled, k ? "%s" : "%s_v2", name);
    void *own = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
    *found = dlsym(own, spelled);
  }
  if (*found == NULL) *found = (void *)nothing;
  if (status != NULL) *status = 0;
  return 0;
}
