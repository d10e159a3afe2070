#pragma once
// The same view of libc as CLinux has: two modules may not disagree about fd_set.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
