/* SPDX-License-Identifier: MIT */
/* What this process shows of itself on the statistics page, and the option `page`. */
#ifndef TIDE_API_PUBLISH_H
#define TIDE_API_PUBLISH_H

/* Tells the page what to show, as the options say. Once, at start-up. */
void publish_configure(void);
/* page:on: starts the keeper, which makes the page; not before the constructor, since starting a
 * thread allocates. Without locks. */
void publish_follow(void);
void publish_constructor(void);

#endif
