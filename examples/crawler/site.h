/* SPDX-License-Identifier: MIT */
/*
 * crawler/site.h - a web site on 127.0.0.1, of pages 1 to SITE_PAGES - 1 with links.
 *
 * Page n links to 2 n and to 2 n + 1, as far as there are such pages.
 */
#ifndef CRAWLER_SITE_H
#define CRAWLER_SITE_H

enum { SITE_PAGES = 32 };

enum manner {
    STEADY, /* answers */
    MOODY,  /* hangs up on who asks for a page for the first time */
    SILENT  /* never answers */
};

struct site;

/* Returns NULL with errno if it cannot listen. */
struct site *site_open(enum manner manner);

/* The port that it listens on. */
int site_port(const struct site *s);

void site_close(struct site *s);

#endif
