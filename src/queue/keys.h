/* SPDX-License-Identifier: MIT */
/*
 * queue/keys.h - finding things by a key of bytes: a hash table of chains whose links
 * live in what is found.
 *
 * The hash is SipHash-2-4 (Aumasson and Bernstein, INDOCRYPT 2012) with a key of the
 * table's own, so that nobody who chooses keys can make them meet. The table is made
 * bigger in two steps, since nothing allocates under a lock: ask what it wants, give it
 * that. Without, its chains get longer and it works on. It locks nothing: its owner says
 * what guards it.
 */
#ifndef VOWI_QUEUE_KEYS_H
#define VOWI_QUEUE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vowi_key {
    struct vowi_key *next;
    uint64_t hash;
    const void *bytes;
    size_t length;
};

struct vowi_keys {
    struct vowi_key **slots; /* a power of two of them */
    size_t capacity;
    size_t count;
    uint64_t secret[2];
};

/* Returns false without memory. */
bool vowi_keys_init(struct vowi_keys *k, uint64_t first, uint64_t second);
void vowi_keys_fini(struct vowi_keys *k);

/* Depends on the secret alone, and so needs no lock. */
uint64_t vowi_keys_hash(const struct vowi_keys *k, const void *bytes, size_t length);

struct vowi_key *vowi_keys_find(const struct vowi_keys *k, uint64_t hash,
                                const void *bytes, size_t length);
void vowi_keys_add(struct vowi_keys *k, struct vowi_key *key);
void vowi_keys_remove(struct vowi_keys *k, struct vowi_key *key);

/* Empties it. Returns what was in it, linked by next. */
struct vowi_key *vowi_keys_remove_all(struct vowi_keys *k);

/* How many slots it would like to have; 0: it is content. */
size_t vowi_keys_wants(const struct vowi_keys *k);
struct vowi_key **vowi_keys_slots_new(size_t capacity);
void vowi_keys_slots_free(struct vowi_key **slots, size_t capacity);

/* Moves into slots that are empty. Returns those it had, which were *capacity. */
struct vowi_key **vowi_keys_move(struct vowi_keys *k, struct vowi_key **slots,
                                 size_t *capacity);

#endif
