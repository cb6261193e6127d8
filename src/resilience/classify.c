/* SPDX-License-Identifier: MIT */
/* resilience/classify.c - what an error calls for, and doing without. */
#include <vow/classify.h>

#include "base/mem.h"

/* What the library does by itself: nothing is gained by asking again. */
static const vow_class_rule own_rules[] = {
    {VOW_E_CANCELLED, VOW_CLASS_IGNORE}, {VOW_E_CLOSED, VOW_CLASS_IGNORE},
    {VOW_E_FORKED, VOW_CLASS_IGNORE},    {VOW_E_NOMEM, VOW_CLASS_IGNORE},
    {VOW_E_OPEN, VOW_CLASS_IGNORE},      {VOW_E_DEADLOCK, VOW_CLASS_IGNORE},
    {VOW_E_INVALID, VOW_CLASS_IGNORE},
};

static const vow_classes own_classes = VOW_CLASSES(own_rules, VOW_CLASS_RETRY);

static const vow_class_rule *
rule_for(const vow_classes *classes, int code)
{
    for (size_t i = 0; i < classes->count; i++)
        if (classes->rules[i].code == code)
            return &classes->rules[i];
    return NULL;
}

vow_class
vow_classify(const vow_classes *classes, const vow_error *e)
{
    if (e == NULL)
        return VOW_CLASS_IGNORE;
    if (classes == NULL)
        classes = &own_classes;
    for (; e != NULL; e = vow_error_cause(e)) {
        const vow_class_rule *rule = rule_for(classes, vow_error_code(e));

        if (rule != NULL)
            return rule->as;
    }
    return classes->otherwise;
}

/* ---- falling back ------------------------------------------------------------------------ */

struct fallback {
    const vow_classes *classes;
    vow_catch_fn *fn; /* NULL: the context is the value */
    vow_value ctx;
};

static void
drop_fallback(void *fallback)
{
    struct fallback *b = fallback;

    vow_value_drop(b->ctx);
    vowi_free(b, sizeof *b);
}

static vow_result
fall_back(const vow_error *error, void *fallback)
{
    struct fallback *b = fallback;
    vow_value v = b->ctx;

    switch (vow_classify(b->classes, error)) {
    case VOW_CLASS_FAIL:
    case VOW_CLASS_IGNORE:
        return vow_forward();
    case VOW_CLASS_RETRY:
    case VOW_CLASS_FALL_BACK:
        break;
    }
    if (b->fn != NULL)
        return b->fn(error, v.as.ptr);
    b->ctx = VOW_NIL;
    return vow_ok(v);
}

static vow_future *
fall_back_on(vow_future *f, const vow_classes *classes, vow_executor *on,
             vow_catch_fn *fn, vow_value ctx)
{
    struct fallback *b = vowi_alloc(sizeof *b);

    if (b == NULL) {
        vow_value_drop(ctx);
        vow_unref(f);
        return NULL;
    }
    b->classes = classes;
    b->fn = fn;
    b->ctx = ctx;
    return vow_catch(f, on, fall_back, vow_own(b, drop_fallback));
}

vow_future *
vow_fallback(vow_future *f, const vow_classes *classes, vow_executor *on,
             vow_catch_fn *fn, vow_value ctx)
{
    return fall_back_on(f, classes, on, fn, ctx);
}

vow_future *
vow_fallback_value(vow_future *f, const vow_classes *classes, vow_value v)
{
    return fall_back_on(f, classes, NULL, NULL, v);
}
