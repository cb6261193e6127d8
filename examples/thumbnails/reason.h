/* SPDX-License-Identifier: MIT */
/* Why a picture has no thumbnail: an errno value, or one of these. */
#ifndef THUMBNAILS_REASON_H
#define THUMBNAILS_REASON_H

#include <vow/result.h>

enum reason { EMPTY_FILE = VOW_E_USER, NOT_A_FILE, NOT_A_PICTURE, DAMAGED, TOO_LARGE };

#endif
