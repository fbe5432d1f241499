/* SPDX-License-Identifier: MIT
 * Opens a list on another thread, for programs whose own thread must not block on a disk: detecting the encoding may read the whole file. */
#ifndef CAMP_INPUT_LATER_H
#define CAMP_INPUT_LATER_H

#include "input.h"

struct camp_input_later;

/* Starts camp_input_open on a thread, with copies of the options. NULL with err if no thread can be started. */
struct camp_input_later *camp_input_open_later(const struct camp_input_options *options, struct camp_error *err);
/* 0: not done yet. 1: done; *input is the caller's, or NULL with err. To be taken once. */
int camp_input_later_take(struct camp_input_later *later, struct camp_input **input, struct camp_error *err);
/* Waits for the thread and frees it, and an input that was not taken. NULL is allowed. In a forked child that inherited it only memory is
 * freed. */
void camp_input_later_free(struct camp_input_later *later);

#endif
