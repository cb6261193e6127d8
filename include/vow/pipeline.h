/* SPDX-License-Identifier: MIT */
/**
 * @file vow/pipeline.h
 * Items through stages, as fast as the slowest of them lets the others.
 *
 *     const vow_stage stages[] = {
 *         VOW_STAGE(.on = io, .fn = read_photo, .width = 4),
 *         VOW_STAGE(.on = cpu, .fn = shrink, .buffer = 2, .on_error = VOW_STAGE_SKIP),
 *         VOW_STAGE(.on = io, .fn = write_photo, .width = 4),
 *     };
 *     vow_pipeline *p = vow_pipeline_new(&VOW_PIPELINE_OPTIONS(.report = say_why),
 *                                        &VOW_FEED(.next = next_photo, .ctx = vow_ptr(dir)),
 *                                        stages, 3);
 *     vow_future *done = vow_pipeline_future(p);
 *
 * A stage has `width` + `buffer` places. An item has a place from when it comes in until
 * the next stage has one for it; at most `width` items are in the function of the stage
 * at a time, the others wait for it, or to go on. Nothing is drawn from the feed before
 * the first stage has a free place. So the number of items in flight is at most the sum of
 * all widths and buffers, however many there are and however slow the last stage is, and
 * all memory is allocated at the start: nothing for an item.
 *
 * A stage passes items on in the order in which they came in, unless it is `unordered`:
 * then, in the order in which they are ready.
 *
 * An item is a value. The function of a stage is lent it, and returns what the next stage
 * gets: vow_forward(), the item itself; a value, which takes its place; an error; or a
 * future to follow, until which has settled the stage is busy with the item. What came in
 * is dropped after that. What the feed gives ends in exactly one of these ways, told of by
 * a function of the options, one call at a time over all of them:
 *
 *     sink      it came through all stages
 *     report    a stage failed, and skips what fails (VOW_STAGE_SKIP)
 *     divert    a stage failed, and hands on what fails (VOW_STAGE_DIVERT)
 *     dropped   the pipeline was stopped
 *
 * It is stopped by an error in a stage that does not say otherwise, by a stage or a feed
 * whose executor is closed, by a token, or by vow_future_cancel of its result. Then nothing
 * is drawn or started any more, functions that run are asked to stop (vow_cancelled), and
 * so is what they follow. vow_pipeline_drain ends the feed and lets what is in flight end.
 *
 * In each case the result settles when all has come to rest: no function runs, every item
 * has ended, and every context was dropped. It holds how many came through (as.u64); or the
 * error that stopped it, with the index of the item; or VOW_E_CANCELLED.
 */
#ifndef VOW_PIPELINE_H
#define VOW_PIPELINE_H

#include <vow/base.h>
#include <vow/batch.h>
#include <vow/cancel.h>
#include <vow/channel.h>
#include <vow/executor.h>
#include <vow/future.h>
#include <vow/result.h>

VOW_BEGIN_DECLS

/** A pipeline that runs, or has run. Counted; read and drained from any thread. */
typedef struct vow_pipeline vow_pipeline;

/** What a stage does about an item that its function failed for. */
enum vow_stage_policy {
    VOW_STAGE_STOP = 0, /**< stop the pipeline: its result is that error */
    VOW_STAGE_SKIP,     /**< go on without it, and say so to .report */
    VOW_STAGE_DIVERT    /**< give it to .divert */
};

/** A stage; see VOW_STAGE. */
typedef struct vow_stage {
    size_t size;      /**< of this struct: the macro sets it */
    vow_executor *on; /**< shared until the pipeline has come to rest; NULL is inline */
    vow_then_fn *fn;  /**< called once for each item that comes in, which it is lent */
    vow_value ctx;    /**< consumed: dropped when the pipeline has come to rest */
    size_t width;     /**< items in fn at a time; 0: the pool's threads, or 1 */
    size_t buffer;    /**< items that wait before or after fn; 0: none */
    int on_error;     /**< an enum vow_stage_policy; an executor that refuses an item with
                           VOW_E_LIMIT is a failure, too, one that is closed stops */
    bool unordered;   /**< items may overtake each other here */
} vow_stage;

/** An element of an array of stages: VOW_STAGE(.on = pool, .fn = decode, .width = 2). */
#define VOW_STAGE(...)                                                                   \
    {                                                                                    \
        .size = sizeof(vow_stage), __VA_ARGS__                                           \
    }

/** Where items come from: a channel, else a function, else an array; see VOW_FEED. */
typedef struct vow_feed {
    size_t size;            /**< of this struct: the macro sets it */
    const vow_value *items; /**< borrowed for the call, copied; each element consumed */
    size_t n;               /**< how many items */
    vow_next_fn *next; /**< gives the next item, one call at a time, when there is room
                                 for it; must return */
    vow_value ctx;     /**< of next; consumed: dropped when nothing is drawn any more */
    vow_executor *on;  /**< of next; what is to be drawn while others are told of is drawn
                              there as well; shared; NULL: that of the first stage */
    vow_channel *channel; /**< shared: items are received, one at a time, until it is
                                 closed and empty; what was not received stays there */
} vow_feed;

/** A feed for vow_pipeline_new: &VOW_FEED(.items = photos, .n = 10). */
#define VOW_FEED(...) VOW_SIZED(vow_feed, __VA_ARGS__)

/** An item that a stage failed for. */
typedef struct vow_failed_item {
    size_t index;           /**< of the item, in the order of the feed, from 0 */
    size_t stage;           /**< of the stage, from 0 */
    const vow_error *error; /**< lent */
    vow_value item;         /**< what came into the stage */
} vow_failed_item;

/** Takes an item that came through; @p item is consumed, or lent if it has no drop. */
typedef void vow_sink_fn(size_t index, vow_value item, void *ctx);

/** Is told of a failure; @p failed is lent. */
typedef void vow_failed_fn(const vow_failed_item *failed, void *ctx);

/** Is told of an item that goes no further; @p item is lent. */
typedef void vow_dropped_fn(size_t index, vow_value item, void *ctx);

/**
 * How to run a pipeline; see VOW_PIPELINE_OPTIONS. The functions are called one at a time,
 * and must return; while one of them runs, its item keeps its place. What takes long belongs
 * in a last stage with a width of 1.
 *
 * They are called on a thread that has ended an item. That is one which ran a stage, or
 * settled what a stage follows; one that called vow_pipeline_new or vow_pipeline_drain, or
 * sent to the feed's channel or closed it, if stages are inline or refuse; and, for .dropped,
 * whoever cancels the result, fires the token, or closes an executor. Who does one of these
 * must hold no lock that the functions take.
 */
typedef struct vow_pipeline_options {
    size_t size;             /**< of this struct: the macro sets it */
    bool unordered;          /**< every stage is */
    vow_token *token;        /**< shared: stops it; NULL: none */
    vow_sink_fn *sink;       /**< NULL: what comes through is dropped */
    vow_failed_fn *report;   /**< its item is lent; NULL: nobody is told */
    vow_failed_fn *divert;   /**< its item is consumed, or lent if it has no drop; must be
                                    there if a stage diverts */
    vow_dropped_fn *dropped; /**< NULL: nobody is told */
    vow_progress_fn *progress; /**< after each item that has ended; NULL: none */
    void *ctx;                 /**< of all of them; borrowed until the result settles */
} vow_pipeline_options;

/** Options for vow_pipeline_new: &VOW_PIPELINE_OPTIONS(.sink = print). */
#define VOW_PIPELINE_OPTIONS(...) VOW_SIZED(vow_pipeline_options, __VA_ARGS__)

/**
 * Starts a pipeline.
 *
 * @param opt     borrowed for the call; NULL is the defaults
 * @param feed    borrowed for the call; what it has is consumed or shared as it says; NULL:
 *                no items
 * @param stages  borrowed for the call, each made with VOW_STAGE; their contexts consumed
 * @param n       how many, at least 1; else, or if a stage has no function, or diverts
 *                while there is no .divert, the result is VOW_E_INVALID
 * @return        owned; NULL if memory ran out, and then nothing runs and all was dropped
 * @contract      any thread; never blocks; allocates all that there will be; may run what
 *                is inline before it returns, and the functions of the options with it
 */
vow_pipeline *vow_pipeline_new(const vow_pipeline_options *opt, const vow_feed *feed,
                               const vow_stage *stages, size_t n) VOW_MUST_USE;

/**
 * Returns the result of a pipeline.
 *
 * @param p   borrowed; NULL has run out of memory
 * @return    owned; settles when all has come to rest: see above. vow_future_cancel of it
 *            stops the pipeline, and it stays pending until then. A vow_pipeline holds it as
 *            well: so who merely lets go of it (vow_unref, vow_timeout, vow_with_token, a race
 *            that is lost) stops nothing as long as there is a handle
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_future *vow_pipeline_future(vow_pipeline *p) VOW_MUST_USE;

/**
 * Is vow_pipeline_new for those who want the result alone.
 *
 * @param opt     as for vow_pipeline_new
 * @param feed    as for vow_pipeline_new
 * @param stages  as for vow_pipeline_new
 * @param n       as for vow_pipeline_new
 * @return        owned; as vow_pipeline_future, but that there is no handle: vow_timeout and
 *                vow_with_token of it stop the pipeline; NULL if memory ran out
 * @contract      as vow_pipeline_new
 */
vow_future *vow_pipeline_run(const vow_pipeline_options *opt, const vow_feed *feed,
                             const vow_stage *stages, size_t n) VOW_MUST_USE;

/**
 * Ends the feed: nothing is drawn any more, and what is in flight goes through. A call of
 * the feed's function that runs ends, and its item goes through as well.
 *
 * @param p   borrowed; may be NULL
 * @contract  any thread; never blocks; no memory; may run what is inline: stages, and with
 *            them .sink, .report, .divert, .dropped, .progress; and drops of items and
 *            contexts, and steps on the result, if all is at rest
 */
void vow_pipeline_drain(vow_pipeline *p);

/** What a pipeline has done. drawn = finished + skipped + diverted + dropped + in_flight. */
typedef struct vow_pipeline_figures {
    size_t size;        /**< set to sizeof(vow_pipeline_figures) by the caller */
    uint64_t drawn;     /**< items from the feed */
    uint64_t finished;  /**< of them, those that came through and were given to .sink */
    uint64_t skipped;   /**< of them, those that failed and were skipped */
    uint64_t diverted;  /**< of them, those that failed and were diverted */
    uint64_t dropped;   /**< of them, those that ended with the pipeline */
    uint64_t in_flight; /**< of them, those that have not ended */
    uint64_t peak;      /**< the most that were in flight at a time */
    uint64_t places;    /**< the sum of widths and buffers */
} vow_pipeline_figures;

/** What a stage has done. in = out + failed + in_flight, and what was dropped in it without
 *  having failed: an item counts as one of these, as among those of the pipeline, when it
 *  has been told of. */
typedef struct vow_stage_figures {
    size_t size;        /**< set to sizeof(vow_stage_figures) by the caller */
    uint64_t in;        /**< items that came in */
    uint64_t out;       /**< items that went on, or to .sink */
    uint64_t failed;    /**< items that it failed for, the one that stopped the pipeline
                             included, which is dropped */
    uint64_t in_flight; /**< items that have a place */
    uint64_t running;   /**< of them, those in its function, or in what that follows */
    uint64_t ready;     /**< of them, those that wait to go on: the next stage is slow, or
                             an earlier item is */
    uint64_t peak;      /**< the most that had a place at a time */
} vow_stage_figures;

/**
 * Reads the figures of a pipeline, all of one moment.
 *
 * @param p    borrowed; may be NULL
 * @param out  out; its size set by the caller
 * @return     0; VOW_E_INVALID if @p p is NULL
 * @contract   any thread; never blocks; no memory; runs no user code
 */
int vow_pipeline_read(vow_pipeline *p, vow_pipeline_figures *out);

/**
 * Reads the figures of a stage, all of one moment.
 *
 * @param p      borrowed; may be NULL
 * @param stage  which, from 0
 * @param out    out; its size set by the caller
 * @return       0; VOW_E_INVALID if there is no such stage
 * @contract     any thread; never blocks; no memory; runs no user code
 */
int vow_pipeline_read_stage(vow_pipeline *p, size_t stage, vow_stage_figures *out);

/**
 * Takes another reference to a pipeline.
 *
 * @param p   borrowed; may be NULL
 * @return    owned; @p p itself
 * @contract  any thread; never blocks; no memory; runs no user code
 */
vow_pipeline *vow_pipeline_ref(vow_pipeline *p);

/**
 * Lets go of a pipeline. What runs goes on.
 *
 * @param p   consumed; may be NULL
 * @contract  any thread; never blocks; frees; may report an error that nobody looked at
 */
void vow_pipeline_unref(vow_pipeline *p);

VOW_END_DECLS

#endif
