// The web UI's files as arrays. #embed is C23's; the compiler notes each as a dependency.
#pragma clang diagnostic ignored "-Wc23-extensions"
#include "CWeb.h"

struct file {
    const char *path;
    const unsigned char *bytes;
    size_t size;
};

#include "Files.h"

size_t web_count(void) { return sizeof files / sizeof files[0]; }
const char *web_path(size_t index) { return index < web_count() ? files[index].path : NULL; }
const unsigned char *web_bytes(size_t index) { return index < web_count() ? files[index].bytes : NULL; }
size_t web_size(size_t index) { return index < web_count() ? files[index].size : 0; }
