/* SPDX-License-Identifier: MIT */
/*
 * sync/switch.c - registers.
 *
 * A stack that is left ends with what a call preserves, the lowest first: the modes of
 * floating point, the registers, the address to return to. A fresh one has the same, with
 * an address at which two of the registers become a call. That is where its frames end:
 * an unwinder finds no caller there.
 *
 * The modes are written only if they differ, for that waits for all that is under way. On
 * x86-64 x87 has some of its own, and to read them takes as long as a quarter of all the
 * rest. fesetround and its kin set both alike: so it is enough to look at those of SSE, and
 * where they differ to make x87's the same. Its precision alone is the thread's.
 *
 * At each instruction an unwinder finds the caller: a profiler's signal may come between any
 * two of them. Both stacks are alike, so that nothing changes where one becomes the other.
 *
 * A switch returns by `ret`, to behind a call or to vowi_switch_begin. With -fcf-protection
 * only indirect jumps and calls need a landing mark, and nothing here is reached by one.
 */
#include "sync/switch.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BEGIN(name)                                                                      \
    ".text\n\t.p2align 4\n\t.globl " name "\n\t.hidden " name "\n\t.type " name          \
    ", %function\n" name ":\n\t.cfi_startproc\n\t"
#define END(name) ".cfi_endproc\n\t.size " name ", .-" name "\n\t"

#if VOWI_HAS_SWITCH
void vowi_switch_begin(void) __attribute__((__visibility__("hidden")));
#endif

/* The rounding and the exceptions of x87 are made those of MXCSR, which is at the lower end
 * of the stack, with room above it. */
#define CHANGE_MODES(sp)                                                                 \
    "ldmxcsr (" sp ")\n\t"                                                               \
    "fnstcw 4(" sp ")\n\t"                                                               \
    "movl (" sp "), %eax\n\t"                                                            \
    "movl %eax, %edx\n\t"                                                                \
    "movzwl 4(" sp "), %ecx\n\t"                                                         \
    "shrl $3, %eax\n\t"                                                                  \
    "shrl $7, %edx\n\t"                                                                  \
    "andl $0xf3c0, %ecx\n\t"                                                             \
    "andl $0x0c00, %eax\n\t"                                                             \
    "andl $0x003f, %edx\n\t"                                                             \
    "orl %eax, %ecx\n\t"                                                                 \
    "orl %edx, %ecx\n\t"                                                                 \
    "movw %cx, 4(" sp ")\n\t"                                                            \
    "fldcw 4(" sp ")\n\t"

#if defined(__x86_64__)

#define PUSH_ALL                                                                         \
    "pushq %rbp\n\t.cfi_adjust_cfa_offset 8\n\t.cfi_rel_offset rbp, 0\n\t"               \
    "pushq %rbx\n\t.cfi_adjust_cfa_offset 8\n\t.cfi_rel_offset rbx, 0\n\t"               \
    "pushq %r12\n\t.cfi_adjust_cfa_offset 8\n\t.cfi_rel_offset r12, 0\n\t"               \
    "pushq %r13\n\t.cfi_adjust_cfa_offset 8\n\t.cfi_rel_offset r13, 0\n\t"               \
    "pushq %r14\n\t.cfi_adjust_cfa_offset 8\n\t.cfi_rel_offset r14, 0\n\t"               \
    "pushq %r15\n\t.cfi_adjust_cfa_offset 8\n\t.cfi_rel_offset r15, 0\n\t"
#define POP_ALL                                                                          \
    "popq %r15\n\t.cfi_adjust_cfa_offset -8\n\t.cfi_restore r15\n\t"                     \
    "popq %r14\n\t.cfi_adjust_cfa_offset -8\n\t.cfi_restore r14\n\t"                     \
    "popq %r13\n\t.cfi_adjust_cfa_offset -8\n\t.cfi_restore r13\n\t"                     \
    "popq %r12\n\t.cfi_adjust_cfa_offset -8\n\t.cfi_restore r12\n\t"                     \
    "popq %rbx\n\t.cfi_adjust_cfa_offset -8\n\t.cfi_restore rbx\n\t"                     \
    "popq %rbp\n\t.cfi_adjust_cfa_offset -8\n\t.cfi_restore rbp\n\t"

__asm__(BEGIN("vowi_switch") PUSH_ALL
        "leaq -8(%rsp), %rsp\n\t"
        ".cfi_adjust_cfa_offset 8\n\t"
        "stmxcsr (%rsp)\n\t"
        "movl (%rsp), %eax\n\t"
        "movq %rsp, (%rdi)\n\t"
        "movq %rsi, %rsp\n\t"
        "xorl (%rsp), %eax\n\t"
        "testl $0xffc0, %eax\n\t"
        ".cfi_remember_state\n\t"
        "jne 2f\n"
        "1:\tleaq 8(%rsp), %rsp\n\t"
        ".cfi_adjust_cfa_offset -8\n\t" POP_ALL "ret\n\t"
        ".cfi_restore_state\n"
        "2:\t" CHANGE_MODES("%rsp") "jmp 1b\n\t" END("vowi_switch"));

__asm__(BEGIN("vowi_switch_begin") ".cfi_undefined rip\n\t"
                                   "movq %r12, %rdi\n\t"
                                   "callq *%rbx\n\t"
                                   "ud2\n\t" END("vowi_switch_begin"));

struct left {
    uint32_t mxcsr, unused;
    void *r15, *r14, *r13, *r12, *rbx, *rbp, *back;
};

static void
fill(struct left *l, void *main, void *arg)
{
    __asm__("stmxcsr %0" : "=m"(l->mxcsr));
    l->rbx = main;
    l->r12 = arg;
}

#elif defined(__i386__)

#define PUSH_ALL                                                                         \
    "pushl %ebp\n\t.cfi_adjust_cfa_offset 4\n\t.cfi_rel_offset ebp, 0\n\t"               \
    "pushl %ebx\n\t.cfi_adjust_cfa_offset 4\n\t.cfi_rel_offset ebx, 0\n\t"               \
    "pushl %esi\n\t.cfi_adjust_cfa_offset 4\n\t.cfi_rel_offset esi, 0\n\t"               \
    "pushl %edi\n\t.cfi_adjust_cfa_offset 4\n\t.cfi_rel_offset edi, 0\n\t"
#define POP_ALL                                                                          \
    "popl %edi\n\t.cfi_adjust_cfa_offset -4\n\t.cfi_restore edi\n\t"                     \
    "popl %esi\n\t.cfi_adjust_cfa_offset -4\n\t.cfi_restore esi\n\t"                     \
    "popl %ebx\n\t.cfi_adjust_cfa_offset -4\n\t.cfi_restore ebx\n\t"                     \
    "popl %ebp\n\t.cfi_adjust_cfa_offset -4\n\t.cfi_restore ebp\n\t"

__asm__(BEGIN("vowi_switch") "movl 4(%esp), %eax\n\t"
                             "movl 8(%esp), %ecx\n\t" PUSH_ALL "leal -8(%esp), %esp\n\t"
                             ".cfi_adjust_cfa_offset 8\n\t"
#ifdef __SSE__
                             "stmxcsr (%esp)\n\t"
#endif
                             "fnstcw 4(%esp)\n\t"
                             "movl %esp, (%eax)\n\t"
                             "movl %ecx, %esp\n\t"
#ifdef __SSE__
                             "ldmxcsr (%esp)\n\t"
#endif
                             "fldcw 4(%esp)\n\t"
                             "leal 8(%esp), %esp\n\t"
                             ".cfi_adjust_cfa_offset -8\n\t" POP_ALL
                             "ret\n\t" END("vowi_switch"));

__asm__(BEGIN("vowi_switch_begin") ".cfi_undefined eip\n\t"
                                   "subl $12, %esp\n\t"
                                   "pushl %esi\n\t"
                                   "call *%ebx\n\t"
                                   "ud2\n\t" END("vowi_switch_begin"));

struct left {
    uint32_t mxcsr;
    uint16_t x87, unused;
    void *edi, *esi, *ebx, *ebp, *back;
};

static void
fill(struct left *l, void *main, void *arg)
{
#ifdef __SSE__
    __asm__("stmxcsr %0" : "=m"(l->mxcsr));
#endif
    __asm__("fnstcw %0" : "=m"(l->x87));
    l->ebx = main;
    l->esi = arg;
}

#elif defined(__aarch64__)

__asm__(BEGIN("vowi_switch") "sub sp, sp, #176\n\t"
                             ".cfi_adjust_cfa_offset 176\n\t"
                             "stp x19, x20, [sp, #16]\n\t"
                             "stp x21, x22, [sp, #32]\n\t"
                             "stp x23, x24, [sp, #48]\n\t"
                             "stp x25, x26, [sp, #64]\n\t"
                             "stp x27, x28, [sp, #80]\n\t"
                             "stp d8, d9, [sp, #96]\n\t"
                             "stp d10, d11, [sp, #112]\n\t"
                             "stp d12, d13, [sp, #128]\n\t"
                             "stp d14, d15, [sp, #144]\n\t"
                             "stp x29, x30, [sp, #160]\n\t"
                             ".cfi_rel_offset x29, 160\n\t"
                             ".cfi_rel_offset x30, 168\n\t"
                             "mrs x10, fpcr\n\t"
                             "str x10, [sp]\n\t"
                             "mov x9, sp\n\t"
                             "str x9, [x0]\n\t"
                             "mov sp, x1\n\t"
                             "ldr x11, [sp]\n\t"
                             "cmp x10, x11\n\t"
                             "b.eq 1f\n\t"
                             "msr fpcr, x11\n"
                             "1:\tldp x19, x20, [sp, #16]\n\t"
                             "ldp x21, x22, [sp, #32]\n\t"
                             "ldp x23, x24, [sp, #48]\n\t"
                             "ldp x25, x26, [sp, #64]\n\t"
                             "ldp x27, x28, [sp, #80]\n\t"
                             "ldp d8, d9, [sp, #96]\n\t"
                             "ldp d10, d11, [sp, #112]\n\t"
                             "ldp d12, d13, [sp, #128]\n\t"
                             "ldp d14, d15, [sp, #144]\n\t"
                             "ldp x29, x30, [sp, #160]\n\t"
                             ".cfi_restore x29\n\t"
                             ".cfi_restore x30\n\t"
                             "add sp, sp, #176\n\t"
                             ".cfi_adjust_cfa_offset -176\n\t"
                             "ret\n\t" END("vowi_switch"));

__asm__(BEGIN("vowi_switch_begin") ".cfi_undefined x30\n\t"
                                   "mov x0, x20\n\t"
                                   "blr x19\n\t"
                                   "brk #1\n\t" END("vowi_switch_begin"));

struct left {
    uint64_t fpcr, unused;
    void *x19, *x20, *others[8];
    uint64_t floating[8];
    void *x29, *back;
};

static void
fill(struct left *l, void *main, void *arg)
{
    __asm__("mrs %0, fpcr" : "=r"(l->fpcr));
    l->x19 = main;
    l->x20 = arg;
}

#endif

#if VOWI_HAS_SWITCH

void *
vowi_switch_prepare(void *top, void (*main)(void *arg), void *arg)
{
    union {
        void (*main)(void *arg);
        void (*begin)(void);
        void *address;
    } to;
    struct left *l = (struct left *)(void *)((char *)top - sizeof *l);

    memset(l, 0, sizeof *l);
    to.main = main;
    fill(l, to.address, arg);
    to.begin = vowi_switch_begin;
    l->back = to.address;
    return l;
}

#else

void *
vowi_switch_prepare(void *top, void (*main)(void *arg), void *arg)
{
    (void)main;
    (void)arg;
    return top;
}

#endif

/* Where there is no shadow stack the instruction does nothing. */
bool
vowi_switch_is_shadowed(void)
{
    uintptr_t shadow = 0;

#if defined(__x86_64__)
    __asm__("rdsspq %0" : "+r"(shadow));
#endif
    return shadow != 0;
}
