/* SPDX-License-Identifier: MIT */
/*
 * Where the pictures come from. One pass walks the whole tree for one size. No list of
 * files is ever in memory: the walk goes on when somebody asks for the next picture.
 */
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <vow/result.h>

#include "picture.h"

/* Counts the names of pictures, so that progress has something to move towards. */
static unsigned long
count_names(const char *root, const struct stat *avoid)
{
    struct walk w;
    enum walk_found found = WALK_END;
    unsigned long n = 0;

    if (walk_begin(&w, root, avoid) == 0)
        found = walk_next(&w);
    for (; found != WALK_END; found = walk_next(&w))
        n += found == WALK_FILE && picture_has_name(w.path);
    walk_end(&w);
    return n;
}

int
source_open(struct source *s, const struct options *o, const struct stat *avoid,
            const atomic_bool *stopped)
{
    int error;

    *s = (struct source){
        .options = o, .stopped = stopped, .lock = PTHREAD_MUTEX_INITIALIZER};
    error = walk_begin(&s->walk, o->from, avoid);
    if (error != 0)
        walk_end(&s->walk);
    else
        s->files = count_names(o->from, avoid);
    return error;
}

void
source_close(struct source *s)
{
    walk_end(&s->walk);
}

/* Returns how many times the tree is walked. */
static unsigned long
passes_locked(const struct source *s)
{
    const struct options *o = s->options;
    unsigned long passes = o->repeat > o->size_count ? o->repeat : o->size_count;
    unsigned long least;

    if (s->files == 0)
        return passes;
    least = (o->at_least + s->files - 1) / s->files;
    return passes > least ? passes : least;
}

static struct picture *
make_picture_locked(const struct source *s)
{
    const struct options *o = s->options;
    const char *name = walk_relative(&s->walk);
    unsigned size = options_size(o, s->pass);
    struct picture *p;
    char *to;
    int n;

    if (options_one_size(o))
        n = asprintf(&to, "%s/%s", o->to, name);
    else
        n = asprintf(&to, "%s/%u/%s", o->to, size, name);
    if (n < 0)
        return NULL;
    p = picture_new(s->walk.path, to, size);
    free(to);
    return p;
}

static void
finish_pass_locked(struct source *s)
{
    if (s->pass++ == 0)
        s->files = s->handed;
    s->over = s->pass >= passes_locked(s);
}

/* Looks at one entry of the tree. Returns whether it is a picture, or a failure. */
static bool
look_locked(struct source *s, struct picture **p)
{
    enum walk_found found = walk_next(&s->walk);
    int error = errno;

    if (found == WALK_END) {
        finish_pass_locked(s);
        return false;
    }
    if (found == WALK_FILE && !picture_seems(s->walk.path))
        return false;
    s->handed++;
    *p = make_picture_locked(s);
    if (*p != NULL && found == WALK_ERROR)
        (*p)->fault = error;
    return true;
}

int
source_next(struct source *s, struct picture **p)
{
    bool found = false;

    *p = NULL;
    pthread_mutex_lock(&s->lock);
    while (!found && !s->over && !atomic_load(s->stopped))
        found = look_locked(s, p);
    pthread_mutex_unlock(&s->lock);
    if (!found)
        return VOW_E_EMPTY;
    return *p != NULL ? 0 : ENOMEM;
}

bool
source_is_over(struct source *s)
{
    bool over;

    pthread_mutex_lock(&s->lock);
    over = s->over;
    pthread_mutex_unlock(&s->lock);
    return over;
}

unsigned long
source_files(struct source *s)
{
    unsigned long files;

    pthread_mutex_lock(&s->lock);
    files = s->pass == 0 ? s->handed : s->files;
    pthread_mutex_unlock(&s->lock);
    return files;
}

unsigned long
source_expected(struct source *s)
{
    unsigned long expected;

    pthread_mutex_lock(&s->lock);
    expected = s->files * passes_locked(s);
    if (expected < s->handed)
        expected = s->handed;
    pthread_mutex_unlock(&s->lock);
    return expected;
}
