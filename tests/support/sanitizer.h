/* SPDX-License-Identifier: MIT */
/**
 * @file sanitizer.h
 * Which sanitizer a test is compiled with: gcc and clang say it in words of their own.
 */
#ifndef VOW_TEST_SANITIZER_H
#define VOW_TEST_SANITIZER_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif

#if !defined(UNDER_ASAN) && defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#endif
#if !defined(UNDER_TSAN) && defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#endif

#endif
