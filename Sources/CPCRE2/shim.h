#pragma once
// The same feature level as CSystem: two definitions of fd_set cannot meet in one program.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
