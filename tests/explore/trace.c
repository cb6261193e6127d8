/* SPDX-License-Identifier: MIT */
/*
 * trace.c - a run step by step, with source lines.
 *
 * Steps are kept until the run is over, then addr2line is asked once about all of
 * their addresses, and nm about the names of globals.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model.h"

#define LINES 100000

static struct line {
    unsigned thread;
    const void *pc;
    char *text;
} * lines;
static unsigned line_count;

void
trace_start(void)
{
    if (lines == NULL)
        lines = calloc(LINES, sizeof *lines);
    line_count = 0;
    run.tracing = true;
}

void
trace_add(const void *pc, const char *format, ...)
{
    struct line *l = &lines[line_count];
    va_list args;

    if (line_count == LINES)
        return;
    va_start(args, format);
    if (vasprintf(&l->text, format, args) < 0)
        abort();
    va_end(args);
    l->thread = run.current;
    l->pc = pc;
    line_count++;
}

/* ---- source lines ------------------------------------------------------------------------ */

static const char *
program(void)
{
    static char path[512];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    path[n > 0 ? n : 0] = '\0';
    return path;
}

/* Without the directories above the last two. */
static const char *
short_path(const char *path)
{
    const char *found[3] = {path, path, path};

    for (const char *p = path; *p != '\0' && *p != ' '; p++)
        if (*p == '/') {
            found[0] = found[1];
            found[1] = found[2];
            found[2] = p + 1;
        }
    return found[1];
}

/* "function at file:line", and the callers that it is inlined in. One line each. */
static void
ask_places(FILE *answers[2])
{
    char command[1024];
    char name[] = "/tmp/explore-XXXXXX";
    int file = mkstemp(name);

    answers[0] = answers[1] = NULL;
    if (file < 0)
        return;
    answers[0] = fdopen(file, "w+");
    for (unsigned i = 0; i < line_count; i++)
        fprintf(answers[0], "%p\n", (const void *)((const char *)lines[i].pc - 1));
    fflush(answers[0]);
    snprintf(command, sizeof command, "addr2line -a -i -p -f -e '%s' < %s", program(),
             name);
    answers[1] = popen(command, "r");
    if (answers[1] != NULL && (file = fgetc(answers[1])) != EOF) {
        ungetc(file, answers[1]); /* it has read the list by now */
        unlink(name);
    }
}

/* The first line says where, those after it, "(inlined by) ...", in what. */
static void
read_place(FILE *answer, char *place, size_t size, char *ahead, size_t ahead_size)
{
    char *start = strstr(ahead, ": ");

    snprintf(place, size, "%s", start != NULL ? start + 2 : "?");
    while (fgets(ahead, (int)ahead_size, answer) != NULL) {
        char *by = strstr(ahead, "(inlined by) ");

        ahead[strcspn(ahead, "\n")] = '\0';
        if (by == NULL)
            return;
        if (strlen(place) + strlen(by) + 8 < size) {
            strcat(place, " < ");
            strcat(place, by + strlen("(inlined by) "));
        }
    }
    ahead[0] = '\0';
}

static void
print_short(const char *place)
{
    const char *at;

    while ((at = strstr(place, " at /")) != NULL) {
        size_t n = strcspn(at + 4, " (");
        const char *path = short_path(at + 4);

        printf("%.*s at %.*s", (int)(at - place), place, (int)(at + 4 + n - path), path);
        place = at + 4 + n;
    }
    fputs(place, stdout);
}

static void
print_line(const struct line *l, const char *place)
{
    printf("  %u| %*s%-60s ", l->thread, (int)(l->thread * 2), "", l->text);
    if (l->pc != NULL)
        print_short(place);
    putchar('\n');
}

void
trace_print(void)
{
    FILE *answers[2];
    char ahead[2048] = "";
    char place[2048] = "";

    ask_places(answers);
    if (answers[1] != NULL && fgets(ahead, sizeof ahead, answers[1]) != NULL)
        ahead[strcspn(ahead, "\n")] = '\0';
    for (unsigned i = 0; i < line_count; i++) {
        if (answers[1] != NULL)
            read_place(answers[1], place, sizeof place, ahead, sizeof ahead);
        print_line(&lines[i], place);
        free(lines[i].text);
    }
    if (answers[1] != NULL)
        pclose(answers[1]);
    if (answers[0] != NULL)
        fclose(answers[0]);
    run.tracing = false;
    line_count = 0;
}

/* ---- globals ---------------------------------------------------------------------------------- */

struct global {
    uintptr_t at;
    char name[64];
};

static struct global *globals;
static unsigned global_count;

static void
read_globals(void)
{
    char command[1024], line[512];
    FILE *names;

    globals = calloc(4096, sizeof *globals);
    snprintf(command, sizeof command, "nm -n '%s'", program());
    names = popen(command, "r");
    while (names != NULL && global_count < 4096 &&
           fgets(line, sizeof line, names) != NULL) {
        struct global *g = &globals[global_count];
        char type;

        if (sscanf(line, "%lx %c %63s", &g->at, &type, g->name) == 3 &&
            strchr("bBdD", type) != NULL)
            global_count++;
    }
    if (names != NULL)
        pclose(names);
}

const char *
global_name(uintptr_t at)
{
    static char text[96];
    const struct global *g = NULL;

    if (globals == NULL)
        read_globals();
    for (unsigned i = 0; i < global_count && globals[i].at <= at; i++)
        g = &globals[i];
    if (g == NULL)
        snprintf(text, sizeof text, "%p", (void *)at);
    else
        snprintf(text, sizeof text, "%s+%zu", g->name, (size_t)(at - g->at));
    return text;
}
