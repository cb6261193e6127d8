/* SPDX-License-Identifier: MIT */
/* Loads a plugin, has it start, and unloads it: its code must stay for its threads. */
#include <stdio.h>

#include <dlfcn.h>

int
main(int argc, char **argv)
{
    void *plugin = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    void (*start)(void);

    if (plugin == NULL)
        return 1;
    *(void **)&start = dlsym(plugin, "plugin_start");
    start();
    dlclose(plugin);
    plugin = dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD);
    puts(plugin != NULL ? "42" : "gone");
    return 0;
}
