/* SPDX-License-Identifier: MIT */
/* A plugin with vow inside: what it starts is still there when it is unloaded. */
#include <vow/vow.h>

void
plugin_start(void)
{
    vow_ignore(vow_sleep(NULL, vow_seconds(3600)));
}
