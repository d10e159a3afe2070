// The files of the web UI, compiled in: an array of each, found by index.
#pragma once
#include <stddef.h>

size_t web_count(void);
// The path below web/, with slashes; NULL past the end.
const char *web_path(size_t index);
const unsigned char *web_bytes(size_t index);
size_t web_size(size_t index);
