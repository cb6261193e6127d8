/* SPDX-License-Identifier: MIT */
/**
 * @file vow/vow.h
 * Everything: promises, futures, executors, cancellation.
 */
#ifndef VOW_VOW_H
#define VOW_VOW_H

#include <vow/base.h>
#include <vow/batch.h>
#include <vow/callback.h>
#include <vow/cancel.h>
#include <vow/channel.h>
#include <vow/combine.h>
#include <vow/delayed.h>
#include <vow/executor.h>
#include <vow/fiber.h>
#include <vow/fork_join.h>
#include <vow/future.h>
#include <vow/group.h>
#include <vow/loop.h>
#include <vow/manual.h>
#include <vow/parallel.h>
#include <vow/pipeline.h>
#include <vow/pool.h>
#include <vow/resilience.h>
#include <vow/result.h>
#include <vow/serial.h>
#include <vow/version.h>

#endif
