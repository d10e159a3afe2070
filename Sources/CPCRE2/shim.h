#pragma once
// The same view of libc as CSystem has: two modules may not disagree about fd_set.
// No _GNU_SOURCE: two modules may not disagree about fd_set (see CSystem.h).
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
