/* SPDX-License-Identifier: MIT */
/* base/site.c - code addresses as text. */
#include "base/site.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

void
vowi_site_text(char *text, size_t size, const void *site)
{
    Dl_info info;
    uintptr_t at = (uintptr_t)site;

    if (dladdr(site, &info) == 0 || info.dli_fname == NULL)
        snprintf(text, size, "0x%" PRIxPTR, at);
    else if (info.dli_sname != NULL)
        snprintf(text, size, "%s(%s+0x%" PRIxPTR ")", info.dli_fname, info.dli_sname,
                 at - (uintptr_t)info.dli_saddr);
    else
        snprintf(text, size, "%s+0x%" PRIxPTR, info.dli_fname,
                 at - (uintptr_t)info.dli_fbase);
}
