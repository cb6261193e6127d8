/* SPDX-License-Identifier: MIT */
/* queue/keys.c - a hash table of chains. */
#include "queue/keys.h"

#include <string.h>

#include "base/mem.h"

#define FIRST_CAPACITY 16

/* ---- the hash ------------------------------------------------------------------------- */

static inline uint64_t
rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline void
mix(uint64_t v[4], int rounds)
{
    while (rounds-- > 0) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

static inline void
absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    mix(v, 2);
    v[0] ^= word;
}

/* Up to eight bytes, the first one lowest. */
static uint64_t
word_of(const unsigned char *bytes, size_t n)
{
    uint64_t word = 0;

    for (size_t i = 0; i < n; i++)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

uint64_t
vowi_keys_hash(const struct vowi_keys *k, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    size_t left = length;
    uint64_t v[4] = {
        k->secret[0] ^ UINT64_C(0x736f6d6570736575),
        k->secret[1] ^ UINT64_C(0x646f72616e646f6d),
        k->secret[0] ^ UINT64_C(0x6c7967656e657261),
        k->secret[1] ^ UINT64_C(0x7465646279746573),
    };

    for (; left >= 8; left -= 8, at += 8)
        absorb(v, word_of(at, 8));
    absorb(v, word_of(at, left) | (uint64_t)length << 56);
    v[2] ^= 0xff;
    mix(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- the table ------------------------------------------------------------------------ */

struct vowi_key **
vowi_keys_slots_new(size_t capacity)
{
    struct vowi_key **slots = vowi_alloc(capacity * sizeof(struct vowi_key *));

    if (slots != NULL)
        memset(slots, 0, capacity * sizeof(struct vowi_key *));
    return slots;
}

void
vowi_keys_slots_free(struct vowi_key **slots, size_t capacity)
{
    vowi_free(slots, capacity * sizeof(struct vowi_key *));
}

bool
vowi_keys_init(struct vowi_keys *k, uint64_t first, uint64_t second)
{
    k->slots = vowi_keys_slots_new(FIRST_CAPACITY);
    k->capacity = FIRST_CAPACITY;
    k->count = 0;
    k->secret[0] = first;
    k->secret[1] = second;
    return k->slots != NULL;
}

void
vowi_keys_fini(struct vowi_keys *k)
{
    vowi_keys_slots_free(k->slots, k->capacity);
}

static struct vowi_key **
slot_of(const struct vowi_keys *k, uint64_t hash)
{
    return &k->slots[hash & (k->capacity - 1)];
}

struct vowi_key *
vowi_keys_find(const struct vowi_keys *k, uint64_t hash, const void *bytes, size_t length)
{
    struct vowi_key *key = *slot_of(k, hash);

    while (key != NULL && !(key->hash == hash && key->length == length &&
                            (length == 0 || memcmp(key->bytes, bytes, length) == 0)))
        key = key->next;
    return key;
}

static void
push(struct vowi_key **slot, struct vowi_key *key)
{
    key->next = *slot;
    *slot = key;
}

void
vowi_keys_add(struct vowi_keys *k, struct vowi_key *key)
{
    push(slot_of(k, key->hash), key);
    k->count++;
}

void
vowi_keys_remove(struct vowi_keys *k, struct vowi_key *key)
{
    struct vowi_key **at = slot_of(k, key->hash);

    while (*at != key)
        at = &(*at)->next;
    *at = key->next;
    k->count--;
}

struct vowi_key *
vowi_keys_remove_all(struct vowi_keys *k)
{
    struct vowi_key *all = NULL;

    for (size_t i = 0; i < k->capacity; i++)
        while (k->slots[i] != NULL) {
            struct vowi_key *key = k->slots[i];

            k->slots[i] = key->next;
            push(&all, key);
        }
    k->count = 0;
    return all;
}

size_t
vowi_keys_wants(const struct vowi_keys *k)
{
    return k->count >= k->capacity ? 2 * k->capacity : 0;
}

struct vowi_key **
vowi_keys_move(struct vowi_keys *k, struct vowi_key **slots, size_t *capacity)
{
    struct vowi_key **old = k->slots;
    size_t old_capacity = k->capacity;

    k->slots = slots;
    k->capacity = *capacity;
    for (size_t i = 0; i < old_capacity; i++)
        while (old[i] != NULL) {
            struct vowi_key *key = old[i];

            old[i] = key->next;
            push(slot_of(k, key->hash), key);
        }
    *capacity = old_capacity;
    return old;
}
